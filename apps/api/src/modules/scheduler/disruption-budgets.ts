import { KINDS, LabelSelector, qualifiedResource, selectsLabels, type KindDefinition, type KubeObject } from '@corral/contracts';
import type { DisruptionBudget } from '@corral/scheduling';
import { z } from 'zod';

/** PodDisruptionBudget, where this server has the kind. */
export const BUDGETS: KindDefinition | undefined = KINDS.find((kind) => qualifiedResource(kind) === 'poddisruptionbudgets.policy');

/** What preemption reads of one. Source: k8s.io/api/policy/v1. */
const Budget = z.object({
  spec: z.object({ selector: LabelSelector.optional() }).optional(),
  status: z.object({ disruptionsAllowed: z.number().default(0) }).optional(),
});

/** A budget nobody has counted yet allows nothing; one without a selector covers nothing. */
export function budgetOf(object: KubeObject): DisruptionBudget {
  const { spec, status } = Budget.parse(object);
  const { namespace } = object.metadata;
  const selector = spec?.selector;
  return {
    disruptionsAllowed: status?.disruptionsAllowed ?? 0,
    covers: (machine) => selector !== undefined && machine.namespace === namespace && selectsLabels(selector, machine.labels),
  };
}
