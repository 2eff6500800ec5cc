import { findCondition, type Node, type VirtualMachine, type VirtualMachineStatus } from '@corral/contracts';
import { isAsleep } from '@corral/vm-lifecycle';
import { unboundStatus, wokenStatus } from './sleeping-status.ts';

export interface WakeObservation {
  readonly vm: VirtualMachine;
  /** The node that has it, if it is bound and that exists. */
  readonly node: Node | undefined;
  /** Why no other node can take it; undefined when one can. */
  readonly noPlace: string | undefined;
  /** Its own node was found to have no room. */
  readonly isNodeFull: boolean;
  readonly now: Date;
}

export type WakeStep =
  /** It is awake, or wakes up already. */
  | { readonly type: 'Nothing' }
  /** Fastest: from its node's disk. Where the node has no room the write is refused, and another look says what then. */
  | { readonly type: 'InPlace'; readonly status: VirtualMachineStatus }
  /** From the object store, wherever there is room. */
  | { readonly type: 'Elsewhere'; readonly status: VirtualMachineStatus }
  | { readonly type: 'Refuse'; readonly why: 'NodeFull' | 'NodeLost'; readonly message: string };

/** Where a machine that sleeps wakes up. */
export function planWake({ vm, node, noPlace, isNodeFull, now }: WakeObservation): WakeStep {
  const { hibernation } = vm.status ?? {};
  if (!hibernation || hibernation.wakeRequestedAt !== undefined) return { type: 'Nothing' };
  const inPlace: WakeStep = { type: 'InPlace', status: wokenStatus(vm, hibernation, now) };
  const nodeName = vm.spec?.nodeName;
  if (!isAsleep(vm) || nodeName === undefined) return inPlace;

  const isLost = !node || findCondition(node.status?.conditions, 'Ready')?.status === 'Unknown';
  const takesNobody = node?.spec?.unschedulable === true || node?.status?.corral?.isEmptying === true;
  if (!isLost && !isNodeFull && (!takesNobody || noPlace !== undefined)) return inPlace;

  const message = isLost ? `Node ${nodeName} is lost; it wakes up elsewhere.` : `Node ${nodeName} has no room for it; it wakes up elsewhere.`;
  const status = unboundStatus(vm, now, { isWoken: true, message });
  // With its node lost it waits for another; with its node there, it would only wait in another place.
  if (status && (isLost || noPlace === undefined)) return { type: 'Elsewhere', status };
  if (isLost) return { type: 'Refuse', why: 'NodeLost', message: `virtual machine "${vm.metadata.name}" sleeps on node "${nodeName}", which does not answer, and is not in the object store yet` };
  const why = status ? `nor has any other: ${noPlace ?? ''}` : 'and it is not in the object store yet, from where it could wake up on another';
  return { type: 'Refuse', why: 'NodeFull', message: `node "${nodeName}", where virtual machine "${vm.metadata.name}" sleeps, has no room for it, ${why}` };
}
