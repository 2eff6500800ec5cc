import { isAsRequired, type NodeAffinity, type NodeSelectorRequirement, type NodeSelectorTerm } from '@corral/contracts';
import type { NodeView } from './machine.ts';

type NodeIdentity = Pick<NodeView, 'name' | 'labels'>;

/** Whether a node matches one of the terms. Source: k8s.io/component-helpers/scheduling/corev1/nodeaffinity. */
export const matchesAnyTerm = (terms: readonly NodeSelectorTerm[], node: NodeIdentity): boolean => terms.some((term) => matchesTerm(term, node));

/** All requirements of a term hold; a term without any matches nothing. */
export function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, { name, labels }: NodeIdentity): boolean {
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  return (
    matchExpressions.every((requirement) => holds(requirement, Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined)) &&
    matchFields.every((requirement) => requirement.key === 'metadata.name' && holds(requirement, name))
  );
}

/** Whether the machine may go there, as far as its selector and required affinity go. */
export function isSelected(selector: Readonly<Record<string, string>>, affinity: NodeAffinity | undefined, node: NodeIdentity): boolean {
  const terms = affinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return Object.entries(selector).every(([key, value]) => node.labels[key] === value) && (!terms || matchesAnyTerm(terms, node));
}

function holds({ operator, values = [] }: NodeSelectorRequirement, value: string | undefined): boolean {
  switch (operator) {
    case 'Gt':
    case 'Lt': {
      const [number, bound] = [integerOf(value), integerOf(values[0])];
      return number !== undefined && bound !== undefined && (operator === 'Gt' ? number > bound : number < bound);
    }
    default:
      return isAsRequired(operator, values, value);
  }
}

function integerOf(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[+-]?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
}
