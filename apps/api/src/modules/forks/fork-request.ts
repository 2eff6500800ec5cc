import { createHash, randomBytes } from 'node:crypto';
import { apiVersionOf, isDnsLabel, MAX_FORKS, virtualMachines, type VirtualMachine } from '@corral/contracts';
import { z } from 'zod';
import { MOMENT_ANNOTATION, storedSleep } from './fork-moment.ts';

/** A name is a DNS label; what is made up takes 5 characters and a number. */
const MAX_PREFIX = 53;

const DnsLabel = z.string().refine(isDnsLabel, 'must be a DNS label: lower case letters, digits and "-", at most 63');

/** What `POST …/virtualmachines/NAME/fork` takes; nothing of it is needed. */
export const ForkRequest = z
  .strictObject({
    count: z.number().int().min(1).max(MAX_FORKS).optional().describe(`How many, from 1 to ${MAX_FORKS}; 1, or as many as there are names.`),
    names: z.array(DnsLabel).min(1).max(MAX_FORKS).optional().describe('What to call them; made up from generateName otherwise.'),
    generateName: z.string().max(MAX_PREFIX).optional().describe('What made-up names begin with; the machine’s name and "-" otherwise.'),
    labels: z.record(z.string(), z.string()).optional().describe('Labels of the forks; the machine’s own are not taken over.'),
    annotations: z.record(z.string(), z.string()).optional().describe('Annotations of the forks.'),
    spec: z.record(z.string(), z.unknown()).optional().describe('What is to be different from the machine’s spec; not its source, its memory or its place.'),
  })
  .superRefine(({ count, names }, context) => {
    if (names === undefined) return;
    if (count !== undefined && count !== names.length) context.addIssue({ code: 'custom', path: ['count'], message: `does not fit ${names.length} names: give one or the other` });
    if (new Set(names).size < names.length) context.addIssue({ code: 'custom', path: ['names'], message: 'must all be different' });
  });
export type ForkRequest = z.output<typeof ForkRequest>;

/** Fields of a machine's spec that are about where it is and what it came from, and say nothing of its forks. */
const NOT_INHERITED: ReadonlySet<string> = new Set(['source', 'nodeName', 'powerState', 'priority', 'preemptionPolicy']);

/** Letters and digits of one request: the same again for a request that is sent again with its key. */
export function batchOf(key: readonly string[] | undefined): string {
  const bytes = key ? createHash('sha256').update(JSON.stringify(key)).digest() : randomBytes(8);
  return [...bytes.subarray(0, 5)].map((byte) => 'bcdfghjklmnpqrstvwxz2456789'[byte % 27]).join('');
}

export function namesOf({ names, count = 1, generateName }: ForkRequest, machine: string, batch: string): readonly string[] {
  if (names) return names;
  const prefix = generateName ?? `${machine.slice(0, MAX_PREFIX - 1)}-`;
  return Array.from({ length: count }, (_, index) => `${prefix}${batch}-${index + 1}`);
}

/** One fork, as its user would write it; one that is only tried has no moment to share, and one of a machine that sleeps in the object store goes on from there. */
export function wishOf(source: VirtualMachine, name: string, moment: string | undefined, { labels, annotations, spec }: ForkRequest): unknown {
  const inherited = Object.fromEntries(Object.entries(source.spec ?? {}).filter(([field]) => !NOT_INHERITED.has(field)));
  const stored = storedSleep(source);
  return {
    apiVersion: apiVersionOf(virtualMachines),
    kind: virtualMachines.kind,
    metadata: { name, ...(labels ? { labels } : {}), annotations: { ...annotations, ...(moment === undefined || stored !== undefined ? {} : { [MOMENT_ANNOTATION]: moment }) } },
    spec: { ...inherited, ...spec, source: stored === undefined ? { virtualMachine: source.metadata.name } : { snapshot: stored } },
  };
}
