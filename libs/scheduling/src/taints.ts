import type { Toleration } from '@corral/contracts';
import type { Taint } from './machine.ts';

/** What `kubectl cordon` stands for among taints: whoever tolerates it may be placed on a cordoned node. */
export const CORDON_TAINT: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** Source: k8s.io/api/core/v1, Toleration.ToleratesTaint. */
export function tolerates({ key = '', operator = 'Equal', value = '', effect }: Toleration, taint: Taint): boolean {
  if (effect !== undefined && effect !== taint.effect) return false;
  if (key !== '' && key !== taint.key) return false;
  return operator === 'Exists' || value === (taint.value ?? '');
}

export const isTolerated = (tolerations: readonly Toleration[], taint: Taint): boolean => tolerations.some((toleration) => tolerates(toleration, taint));
