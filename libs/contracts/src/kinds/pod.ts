import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import { Condition, type KubeObject } from '../metadata.ts';

/** As much of a Pod as a machine has. Source: k8s.io/api core/v1. */
export const PodSpec = z.object({
  nodeName: z.string().optional().describe('The node the machine is bound to.'),
  restartPolicy: z.string().describe('The machine’s.'),
  containers: z
    .array(z.object({ name: z.string(), image: z.string(), resources: z.object({ requests: z.record(z.string(), z.string()) }) }))
    .describe('One, called guest: the machine’s source and its memory.'),
  tolerations: z.array(z.unknown()).optional().describe('The machine’s.'),
  priorityClassName: z.string().optional().describe('The machine’s.'),
  priority: z.number().int().optional().describe('The machine’s.'),
  terminationGracePeriodSeconds: z.number().int().describe('How long a guest that is asked to shut down may take.'),
});
export type PodSpec = z.output<typeof PodSpec>;

export const PodStatus = z.object({
  phase: z.enum(['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown']),
  conditions: z.array(Condition),
  reason: z.string().optional(),
  message: z.string().optional(),
  hostIP: z.string().optional(),
  startTime: z.string().optional(),
  qosClass: z.string(),
  containerStatuses: z.array(
    z.object({
      name: z.string(), image: z.string(), imageID: z.string(), ready: z.boolean(), started: z.boolean(), restartCount: z.number().int(),
      state: z.record(z.string(), z.record(z.string(), z.unknown())),
    }),
  ),
});
export type PodStatus = z.output<typeof PodStatus>;
export type Pod = KubeObject<PodSpec, PodStatus>;

/** The one container of every Pod: the guest. */
export const POD_CONTAINER = 'guest';

/**
 * A machine seen as a Pod, for the tools that know nothing else. It is not stored and cannot be written: it is what its
 * VirtualMachine is, so it is not among KINDS but COMPUTED_KINDS.
 */
export const pods: KindDefinition<PodSpec, PodStatus> = {
  group: '', version: 'v1', kind: 'Pod', plural: 'pods', singular: 'pod', shortNames: ['po'], categories: ['all'],
  scope: 'Namespaced', nameRule: 'DnsLabel', builtIn: true, verbs: ['delete', 'get', 'list', 'watch'],
  body: z.strictObject({ spec: PodSpec }),
  status: PodStatus,
  columns: [
    { name: 'Ready', type: 'string', description: 'Whether the guest answers, of one.', value: ({ status }) => `${status?.containerStatuses.filter(({ ready }) => ready).length ?? 0}/1` },
    { name: 'Status', type: 'string', description: 'What the machine does.', value: ({ metadata, status }) => (metadata.deletionTimestamp === undefined ? (status?.reason ?? status?.phase ?? '') : 'Terminating') },
    { name: 'Restarts', type: 'integer', description: 'How often it was started again.', value: ({ status }) => status?.containerStatuses[0]?.restartCount ?? 0 },
    { name: 'Node', type: 'string', description: 'Where it is.', priority: 1, value: ({ spec }) => spec?.nodeName ?? '<none>' },
  ],
  selectableFields: {
    'spec.nodeName': ({ spec }) => spec?.nodeName ?? '',
    'spec.restartPolicy': ({ spec }) => spec?.restartPolicy ?? '',
    'status.phase': ({ status }) => status?.phase ?? '',
  },
};
