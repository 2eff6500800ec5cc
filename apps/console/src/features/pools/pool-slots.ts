import { findCondition, type VirtualMachine, type VirtualMachinePool } from '@corral/contracts';

export type SlotState = 'warm' | 'starting' | 'failed' | 'claimed';

/** One machine of a pool, as its slot shows it. */
export interface Slot {
  readonly uid: string;
  readonly name: string;
  readonly state: SlotState;
}

export interface PoolSlots {
  /** Warm first, then those that start, then the claimed. */
  readonly taken: readonly Slot[];
  readonly free: number;
}

const ORDER: readonly SlotState[] = ['warm', 'starting', 'failed', 'claimed'];

/** The pool as slots, as many as it may have machines; one that shrank has more taken than that. */
export function slotsOf(pool: VirtualMachinePool, machines: readonly VirtualMachine[]): PoolSlots {
  const taken = machines
    .flatMap((vm): Slot[] => {
      const state = stateOf(pool, vm);
      return state ? [{ uid: vm.metadata.uid, name: vm.metadata.name, state }] : [];
    })
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (a.name < b.name ? -1 : 1));
  return { taken, free: Math.max(0, (pool.spec?.maximum ?? 0) - taken.length) };
}

/** What the machines that wait to be claimed take of their nodes' memory, as far as they told; undefined where none has. */
export function heldByWaiting(pool: VirtualMachinePool, machines: readonly VirtualMachine[]): number | undefined {
  const told = machines.flatMap((vm) => {
    const state = stateOf(pool, vm);
    return state !== undefined && state !== 'claimed' && vm.status?.memory ? [vm.status.memory.heldBytes] : [];
  });
  return told.length === 0 ? undefined : told.reduce((sum, bytes) => sum + bytes, 0);
}

function stateOf({ metadata }: VirtualMachinePool, { metadata: { ownerReferences = [], namespace }, status }: VirtualMachine): SlotState | undefined {
  if (namespace !== metadata.namespace) return undefined;
  if (status?.claim?.poolUid === metadata.uid) return 'claimed';
  if (!ownerReferences.some(({ uid, controller }) => controller === true && uid === metadata.uid)) return undefined;
  if (status?.phase === 'Failed') return 'failed';
  return status?.phase === 'Running' && findCondition(status.conditions, 'Ready')?.status === 'True' ? 'warm' : 'starting';
}
