import { findCondition, selectsLabels, toKubeTime, withCondition, type IntOrPercent, type PodDisruptionBudget, type PodDisruptionBudgetStatus, type VirtualMachine } from '@corral/contracts';
import { hasPod } from '../pods/pod-of.ts';

/** A move that was granted and has not begun by then never will. Source: Kubernetes, DeletionTimeout of its controller. */
const GRANT_LIFETIME_MS = 2 * 60_000;

export const isCoveredBy = ({ metadata, spec }: PodDisruptionBudget, vm: VirtualMachine): boolean =>
  metadata.namespace === vm.metadata.namespace && spec?.selector !== undefined && selectsLabels(spec.selector, vm.metadata.labels);

const isHealthy = (vm: VirtualMachine): boolean =>
  vm.metadata.deletionTimestamp === undefined && vm.status?.move === undefined && findCondition(vm.status?.conditions, 'Ready')?.status === 'True';

/** The budget's status for the machines there are now. Equal worlds give equal statuses. */
export function budgetStatus(budget: PodDisruptionBudget, machines: readonly VirtualMachine[], now: Date): PodDisruptionBudgetStatus {
  const covered = machines.filter((vm) => isCoveredBy(budget, vm) && hasPod(vm));
  const disruptedPods = Object.fromEntries(
    Object.entries(budget.status?.disruptedPods ?? {}).filter(([name, since]) => {
      const vm = covered.find(({ metadata }) => metadata.name === name);
      return vm !== undefined && vm.status?.move === undefined && now.getTime() - Date.parse(since) < GRANT_LIFETIME_MS;
    }),
  );
  const currentHealthy = covered.filter((vm) => isHealthy(vm) && !Object.hasOwn(disruptedPods, vm.metadata.name)).length;
  const desiredHealthy = desiredOf(budget, covered.length);
  const disruptionsAllowed = covered.length === 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy);
  const { generation } = budget.metadata;
  const update = disruptionsAllowed > 0 ? ({ status: 'True', reason: 'SufficientPods' } as const) : ({ status: 'False', reason: 'InsufficientPods' } as const);
  return {
    observedGeneration: generation,
    ...(Object.keys(disruptedPods).length > 0 ? { disruptedPods } : {}),
    disruptionsAllowed,
    currentHealthy,
    desiredHealthy,
    expectedPods: covered.length,
    conditions: withCondition(budget.status?.conditions, { type: 'DisruptionAllowed', ...update }, now, generation),
  };
}

/** Source: k8s.io/kubernetes/pkg/controller/disruption, getExpectedPodCount. Percentages round up, both ways. */
function desiredOf({ spec }: PodDisruptionBudget, expected: number): number {
  if (spec?.maxUnavailable !== undefined) return Math.max(0, expected - scaled(spec.maxUnavailable, expected));
  return spec?.minAvailable === undefined ? 0 : scaled(spec.minAvailable, expected);
}

const scaled = (value: IntOrPercent, total: number): number => (typeof value === 'number' ? value : Math.ceil((Number.parseInt(value, 10) * total) / 100));

export type Grant = { readonly outcome: 'Granted'; readonly status: PodDisruptionBudgetStatus } | { readonly outcome: 'Free' } | { readonly outcome: 'Refused'; readonly why: string };

/** Takes one disruption of the budget for this machine. Source: k8s.io/kubernetes/pkg/registry/core/pod/storage, checkAndDecrement. */
export function grantOf(budget: PodDisruptionBudget, vm: VirtualMachine, now: Date): Grant {
  const { status, metadata, spec } = budget;
  const { disruptionsAllowed = 0, currentHealthy = 0, desiredHealthy = 0, disruptedPods = {} } = status ?? {};
  const isUpToDate = (status?.observedGeneration ?? 0) >= metadata.generation;
  if (Object.hasOwn(disruptedPods, vm.metadata.name)) return { outcome: 'Free' };
  // What does not answer costs nobody anything, unless the others are too few already.
  if (isUpToDate && !isHealthy(vm) && (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow' || (currentHealthy >= desiredHealthy && desiredHealthy > 0))) return { outcome: 'Free' };
  if (!isUpToDate) return { outcome: 'Refused', why: `The disruption budget ${metadata.name} is still being processed by the server.` };
  if (disruptionsAllowed < 1) return { outcome: 'Refused', why: `The disruption budget ${metadata.name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently` };
  return {
    outcome: 'Granted',
    status: { ...status, disruptionsAllowed: disruptionsAllowed - 1, disruptedPods: { ...disruptedPods, [vm.metadata.name]: toKubeTime(now) } },
  };
}
