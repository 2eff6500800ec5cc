import {
  apiVersionOf, SNAPSHOT_DATA_FINALIZER, toKubeTime, virtualMachineSnapshots,
  type VirtualMachine, type VirtualMachineSnapshot, type VmFork,
} from '@corral/contracts';

/** On a machine that is created: the moment it shares with others, by the name of the VirtualMachineSnapshot that holds it. */
export const MOMENT_ANNOTATION = 'corral.dev/fork-moment';

/** Where a machine says which moment, and which machine, it is to go on from. */
export const MOMENT_FIELD = `metadata.annotations[${MOMENT_ANNOTATION}]`;
export const SOURCE_FIELD = 'spec.source.virtualMachine';

/** Why the machine cannot be forked now, in words for people; undefined when it can. */
export function forkObstacle(vm: VirtualMachine): { readonly reason: 'VirtualMachineNotRunning' | 'VirtualMachineMoving'; readonly message: string } | undefined {
  const { metadata, spec, status } = vm;
  const { name } = metadata;
  const phase = metadata.deletionTimestamp === undefined ? (status?.phase ?? 'Pending') : 'Terminating';
  const stored = storedSleep(vm);
  if (stored !== undefined) return { reason: 'VirtualMachineNotRunning', message: `VirtualMachine "${name}" sleeps in the object store: create machines from its snapshot "${stored}", or wake it` };
  if (status?.move !== undefined) return { reason: 'VirtualMachineMoving', message: `VirtualMachine "${name}" is leaving its node: try again in a moment` };
  if ((phase === 'Running' || phase === 'Paused' || phase === 'Hibernated') && spec?.nodeName !== undefined && status?.incarnation !== undefined) return undefined;
  return { reason: 'VirtualMachineNotRunning', message: `VirtualMachine "${name}" is ${phase}: only a machine that runs, is paused or sleeps can be forked` };
}

/** The snapshot in which a machine sleeps that is on no node any more; undefined for any other. */
export function storedSleep({ metadata, spec, status }: VirtualMachine): string | undefined {
  const isStored = metadata.deletionTimestamp === undefined && status?.phase === 'Hibernated' && spec?.nodeName === undefined;
  return isStored ? status.hibernation?.snapshot : undefined;
}

/** What a fork is told of the machine it comes from. */
export function forkOf(source: VirtualMachine, snapshot: string): VmFork {
  const { metadata, spec, status } = source;
  return {
    virtualMachine: metadata.name,
    uid: metadata.uid,
    incarnation: status?.incarnation ?? 0,
    snapshot,
    nodeName: spec?.nodeName ?? '',
    ...(status?.v86Build === undefined ? {} : { v86Build: status.v86Build }),
    ...(status?.memoryMiB === undefined ? {} : { memoryMiB: status.memoryMiB }),
  };
}

/** The moment's object as it is stored, bound to the node that holds the machine: that node takes it as soon as it hears of it. */
export function momentOf(namespace: string, { virtualMachine, uid, snapshot, nodeName }: VmFork, birth: { readonly uid: string; readonly now: Date }): VirtualMachineSnapshot {
  return {
    apiVersion: apiVersionOf(virtualMachineSnapshots),
    kind: virtualMachineSnapshots.kind,
    metadata: { name: snapshot, namespace, uid: birth.uid, resourceVersion: '', generation: 1, creationTimestamp: toKubeTime(birth.now), finalizers: [SNAPSHOT_DATA_FINALIZER] },
    spec: { virtualMachine, nodeName, fork: { upload: false } },
    status: {
      virtualMachineUid: uid,
      conditions: [{ type: 'Ready', status: 'False', reason: 'Taking', message: `Node ${nodeName} takes it.`, lastTransitionTime: toKubeTime(birth.now) }],
    },
  };
}
