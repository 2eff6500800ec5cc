import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import type { KubeObject } from '../metadata.ts';
import type { FieldProblem } from '../problems.ts';

/** Source: k8s.io/api scheduling/v1. */
export const PriorityClassBody = z.strictObject({
  value: z.number().int().min(-2_147_483_648).max(2_147_483_647).describe('The priority of machines of this class; higher goes first. Cannot be changed.'),
  globalDefault: z.boolean().default(false).describe('Whether machines that name no class are of this one. One class at most.'),
  description: z.string().optional().describe('When to use the class.'),
  preemptionPolicy: z.enum(['PreemptLowerPriority', 'Never']).default('PreemptLowerPriority').describe('Whether machines of this class may take the place of others of lower priority. Cannot be changed.'),
});
export type PriorityClassBody = z.output<typeof PriorityClassBody>;
export type PriorityClass = KubeObject<never, never> & PriorityClassBody;
const asClass = (object: KubeObject): PriorityClass => object as PriorityClass;

/** Above this only the system's own classes. Source: k8s.io/kubernetes/pkg/apis/scheduling, HighestUserDefinablePriority. */
export const HIGHEST_USER_PRIORITY = 1_000_000_000;
/** The classes that are always there. Source: the same, SystemPriorityClasses. */
export const SYSTEM_PRIORITY_CLASSES = [
  { name: 'system-cluster-critical', value: 2_000_000_000, description: 'Used for system critical machines that must run in the cluster, but can be moved to another node if necessary.' },
  { name: 'system-node-critical', value: 2_000_001_000, description: 'Used for system critical machines that must not be moved from their current node.' },
] as const;
const SYSTEM_PREFIX = 'system-';
/** Whether only the system's own namespaces may use the class. */
export const isSystemPriorityClass = (name: string): boolean => name.startsWith(SYSTEM_PREFIX);

export const priorityClasses: KindDefinition<never, never> = {
  group: 'scheduling.k8s.io',
  version: 'v1',
  kind: 'PriorityClass',
  plural: 'priorityclasses',
  singular: 'priorityclass',
  shortNames: ['pc'],
  categories: [],
  scope: 'Cluster',
  nameRule: 'DnsSubdomain',
  builtIn: true,
  body: PriorityClassBody,
  columns: [
    { name: 'Value', type: 'integer', description: 'Higher goes first.', value: (object) => asClass(object).value },
    { name: 'Global-Default', type: 'boolean', description: 'Whether machines that name no class are of this one.', value: (object) => asClass(object).globalDefault },
    { name: 'PreemptionPolicy', type: 'string', description: 'Whether its machines take the place of others.', value: (object) => asClass(object).preemptionPolicy },
  ],
  selectableFields: {},
  validate(object, previous) {
    const problems: FieldProblem[] = [];
    const { metadata, value, preemptionPolicy } = asClass(object);
    const system = SYSTEM_PRIORITY_CLASSES.find(({ name }) => name === metadata.name);
    if (isSystemPriorityClass(metadata.name) && system?.value !== value) {
      problems.push({ field: 'metadata.name', reason: 'FieldValueForbidden', message: "priority class names with 'system-' prefix are reserved for system use only" });
    }
    if (!system && value > HIGHEST_USER_PRIORITY) {
      problems.push({ field: 'value', reason: 'FieldValueForbidden', message: `maximum allowed value of a user defined priority is ${HIGHEST_USER_PRIORITY}` });
    }
    if (previous && asClass(previous).value !== value) {
      problems.push({ field: 'value', reason: 'FieldValueForbidden', message: 'may not be changed in an update.' });
    }
    if (previous && asClass(previous).preemptionPolicy !== preemptionPolicy) {
      problems.push({ field: 'preemptionPolicy', reason: 'FieldValueInvalid', message: 'field is immutable' });
    }
    return problems;
  },
};
