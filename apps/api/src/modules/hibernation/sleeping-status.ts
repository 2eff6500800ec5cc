import { toKubeTime, withCondition, type ConditionUpdate, type VirtualMachine, type VirtualMachineStatus, type VmHibernation } from '@corral/contracts';
import { isAsleep } from '@corral/vm-lifecycle';

/** Its status once somebody needs it, where it is: on its node, or, when it has none, wherever it is bound. */
export function wokenStatus(vm: VirtualMachine, hibernation: VmHibernation, now: Date): VirtualMachineStatus {
  const waking = { ...hibernation, wakeRequestedAt: toKubeTime(now) };
  // One that still falls asleep keeps its phase: it is its node's to tell.
  if (!isAsleep(vm)) return { ...vm.status, hibernation: waking };
  return { ...vm.status, phase: vm.spec?.nodeName === undefined ? 'Pending' : 'Starting', hibernation: waking };
}

/**
 * Its status without its node, where its memory is in the object store too: it sleeps on, or, woken, is bound elsewhere and goes
 * on there. Undefined where nothing but its node has it.
 */
export function unboundStatus(vm: VirtualMachine, now: Date, { isWoken, message }: { readonly isWoken: boolean; readonly message: string }): VirtualMachineStatus | undefined {
  const { nodeName: _node, residentBytes: _resident, nextStartTime: _next, move: _move, hibernation, ...kept } = vm.status ?? {};
  if (!hibernation || hibernation.snapshot === undefined || hibernation.storedAt === undefined) return undefined;
  const generation = vm.metadata.generation + 1;
  const reason = isWoken ? 'Waking' : 'Hibernated';
  const updates: readonly ConditionUpdate[] = [
    { type: 'Ready', status: 'False', reason, message },
    { type: 'Scheduled', status: 'False', reason, message: isWoken ? 'It waits for a node.' : 'It needs none while it sleeps.' },
  ];
  return {
    ...kept,
    phase: isWoken ? 'Pending' : 'Hibernated',
    conditions: updates.reduce((conditions, update) => withCondition(conditions, update, now, generation), kept.conditions ?? []),
    // Nothing of it is lost, so it goes on whatever its policy says about ends.
    continueFrom: { reason: 'Moved', snapshot: hibernation.snapshot, incarnation: hibernation.incarnation },
    hibernation: isWoken ? { ...hibernation, wakeRequestedAt: toKubeTime(now) } : hibernation,
  };
}
