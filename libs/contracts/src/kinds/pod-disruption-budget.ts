import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import { Condition, type KubeObject } from '../metadata.ts';
import type { FieldProblem } from '../problems.ts';
import { LabelSelector, labelSelectorProblems } from './label-selector.ts';

/** A whole number, or a share of all as a percentage. Source: k8s.io/apimachinery/pkg/util/intstr. */
export const IntOrPercent = z.union([z.number().int(), z.string()]);
export type IntOrPercent = z.output<typeof IntOrPercent>;

export const PodDisruptionBudgetSpec = z.strictObject({
  minAvailable: IntOrPercent.optional().describe('How many of the selected machines must stay Ready when one is moved: a number, or a percentage such as 50%.'),
  maxUnavailable: IntOrPercent.optional().describe('How many of the selected machines may be not Ready at once; not together with minAvailable.'),
  selector: LabelSelector.optional().describe('The machines it is about, by their labels; none when empty.'),
  unhealthyPodEvictionPolicy: z.enum(['IfHealthyBudget', 'AlwaysAllow']).optional().describe('Whether machines that are not Ready may be moved while the budget is used up.'),
});
export type PodDisruptionBudgetSpec = z.output<typeof PodDisruptionBudgetSpec>;

export const PodDisruptionBudgetStatus = z.object({
  observedGeneration: z.number().int().optional(),
  /** Moves granted whose effect is not seen yet: name → when. */
  disruptedPods: z.record(z.string(), z.string()).optional(),
  disruptionsAllowed: z.number().int().optional(),
  currentHealthy: z.number().int().optional(),
  desiredHealthy: z.number().int().optional(),
  expectedPods: z.number().int().optional(),
  conditions: z.array(Condition).optional(),
});
export type PodDisruptionBudgetStatus = z.output<typeof PodDisruptionBudgetStatus>;
export type PodDisruptionBudget = KubeObject<PodDisruptionBudgetSpec, PodDisruptionBudgetStatus>;

/** Source: k8s.io/api policy/v1, PodDisruptionBudget. Its pods are machines seen as Pods. */
export const podDisruptionBudgets: KindDefinition<PodDisruptionBudgetSpec, PodDisruptionBudgetStatus> = {
  group: 'policy', version: 'v1', kind: 'PodDisruptionBudget', plural: 'poddisruptionbudgets', singular: 'poddisruptionbudget', shortNames: ['pdb'], categories: [],
  scope: 'Namespaced', nameRule: 'DnsSubdomain', builtIn: true,
  body: z.strictObject({ spec: PodDisruptionBudgetSpec.default({}) }),
  status: PodDisruptionBudgetStatus,
  columns: [
    { name: 'Min Available', type: 'string', description: 'How many must stay Ready.', value: ({ spec }) => textOf(spec?.minAvailable) },
    { name: 'Max Unavailable', type: 'string', description: 'How many may be not Ready.', value: ({ spec }) => textOf(spec?.maxUnavailable) },
    { name: 'Allowed Disruptions', type: 'integer', description: 'How many may be moved now.', value: ({ status }) => status?.disruptionsAllowed ?? 0 },
  ],
  selectableFields: {},
  validate({ spec }) {
    const { minAvailable, maxUnavailable, selector } = spec ?? {};
    const problems: FieldProblem[] = [];
    if (minAvailable !== undefined && maxUnavailable !== undefined) {
      problems.push({ field: 'spec', reason: 'FieldValueInvalid', message: 'minAvailable and maxUnavailable cannot be both set' });
    }
    for (const [field, value] of Object.entries({ minAvailable, maxUnavailable })) {
      if (value !== undefined && !isIntOrPercent(value)) {
        problems.push({ field: `spec.${field}`, reason: 'FieldValueInvalid', message: 'must be a whole number that is not negative, or a percentage from 0% to 100%' });
      }
    }
    return [...problems, ...(selector ? labelSelectorProblems(selector, 'spec.selector') : [])];
  },
};

const textOf = (value: IntOrPercent | undefined): string => (value === undefined ? 'N/A' : String(value));

const isIntOrPercent = (value: IntOrPercent): boolean => (typeof value === 'number' ? value >= 0 : /^\d{1,3}%$/.test(value) && Number.parseInt(value, 10) <= 100);
