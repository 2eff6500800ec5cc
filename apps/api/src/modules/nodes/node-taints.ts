import { toKubeTime, type NodeSpec, type Toleration } from '@corral/contracts';

export type Taint = NonNullable<NodeSpec['taints']>[number];

/** Source: Kubernetes, well-known taints. */
export const UNREACHABLE_TAINT = 'node.kubernetes.io/unreachable';
export const NOT_READY_TAINT = 'node.kubernetes.io/not-ready';
const HEALTH_TAINTS: readonly string[] = [UNREACHABLE_TAINT, NOT_READY_TAINT];

/** `Unreachable`: silent, what is there stays. `Evicting`: silent, what is there may be restarted elsewhere. */
export type NodeHealth = 'Ready' | 'NotReady' | 'Unreachable' | 'Evicting';

const TAINTS: Readonly<Record<NodeHealth, readonly Taint[]>> = {
  Ready: [],
  NotReady: [{ key: NOT_READY_TAINT, effect: 'NoSchedule' }],
  Unreachable: [{ key: UNREACHABLE_TAINT, effect: 'NoSchedule' }],
  Evicting: [
    { key: UNREACHABLE_TAINT, effect: 'NoSchedule' },
    { key: UNREACHABLE_TAINT, effect: 'NoExecute' },
  ],
};

/** The node's taints with those of its health as they should be; undefined when they are. Taints of people stay. */
export function healthTaints(taints: readonly Taint[] = [], health: NodeHealth, now: Date): Taint[] | undefined {
  const wanted = TAINTS[health];
  const isSame = (a: Taint, b: Taint): boolean => a.key === b.key && a.effect === b.effect;
  const kept = taints.filter((taint) => !HEALTH_TAINTS.includes(taint.key) || wanted.some((other) => isSame(other, taint)));
  const added = wanted.filter((taint) => !kept.some((other) => isSame(other, taint)));
  if (added.length === 0 && kept.length === taints.length) return undefined;
  return [...kept, ...added.map((taint) => ({ ...taint, timeAdded: toKubeTime(now) }))];
}

/** Source: k8s.io/api/core/v1, ToleratesTaint. */
export function tolerates({ key = '', operator = 'Equal', value = '', effect }: Toleration, taint: Taint): boolean {
  if (effect !== undefined && effect !== taint.effect) return false;
  if (key !== '' && key !== taint.key) return false;
  return operator === 'Exists' || (key !== '' && value === (taint.value ?? ''));
}

/**
 * How long after it appeared a NoExecute taint sends this away: Infinity when it is tolerated for good. What says nothing
 * of a node that cannot be reached stays `silenceMs`, as Kubernetes's DefaultTolerationSeconds has it.
 */
export function toleranceMs(tolerations: readonly Toleration[], taint: Taint, silenceMs: number): number {
  const matching = tolerations.filter((toleration) => tolerates(toleration, taint));
  if (matching.length === 0) return HEALTH_TAINTS.includes(taint.key) ? silenceMs : 0;
  return Math.min(...matching.map(({ tolerationSeconds }) => (tolerationSeconds === undefined ? Infinity : Math.max(0, tolerationSeconds) * 1000)));
}
