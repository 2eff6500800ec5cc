import { isRecord, isTrue, malformed, optionsInvalid, withoutNulls, type DeleteOptions, type PropagationPolicy } from '@corral/api-machinery';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { queryValue } from '../../platform/http/http-server.ts';
import { readObjectBody } from '../../platform/http/object-body.ts';
import { readDryRun } from './write-request.ts';

const Body = z.object({
  preconditions: z.object({ uid: z.string().optional(), resourceVersion: z.string().optional() }).optional(),
  propagationPolicy: z.string().optional(),
  gracePeriodSeconds: z.number().int().optional(),
  orphanDependents: z.boolean().optional(),
  dryRun: z.array(z.string()).optional(),
});

/** What the body and the query of a delete say about it; the body goes before. Refuses (422) what no delete can mean. */
export function readDeleteOptions({ body, headers, query }: FastifyRequest<{ Body: Buffer | undefined }>): DeleteOptions {
  const inQuery = (name: string): string | undefined => queryValue(query, name) || undefined;
  const sent: unknown = body && body.length > 0 ? withoutNulls(readObjectBody(body, headers['content-type']).value) : {};
  const parsed = Body.safeParse(sent);
  if (!parsed.success || !isRecord(sent)) throw malformed(`the body is no DeleteOptions${parsed.error ? `: ${z.prettifyError(parsed.error)}` : ''}`);
  const { preconditions, dryRun } = parsed.data;
  const policy = readPolicy(parsed.data.propagationPolicy ?? inQuery('propagationPolicy'));
  const orphans = parsed.data.orphanDependents ?? (inQuery('orphanDependents') === undefined ? undefined : isTrue(inQuery('orphanDependents')));
  if (policy !== undefined && orphans !== undefined) {
    throw optionsInvalid('DeleteOptions', { field: 'propagationPolicy', reason: 'FieldValueInvalid', message: 'orphanDependents and deletionPropagation cannot be both set' }, { propagationPolicy: policy });
  }
  return {
    ...(preconditions ? { preconditions } : {}),
    propagationPolicy: policy ?? (orphans ? 'Orphan' : undefined),
    dryRun: [inQuery('dryRun'), ...(dryRun ?? [])].map((text) => readDryRun('DeleteOptions', text)).includes(true),
  };
}

function readPolicy(text: string | undefined): PropagationPolicy | undefined {
  if (text === undefined || text === 'Background' || text === 'Foreground' || text === 'Orphan') return text;
  throw optionsInvalid('DeleteOptions', { field: 'propagationPolicy', reason: 'FieldValueNotSupported', message: 'supported values: "Background", "Foreground", "Orphan"' }, { propagationPolicy: text });
}
