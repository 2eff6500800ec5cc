import { findCondition, MIB, parseBytes, startSourceOf, virtualMachineImages, virtualMachineSnapshots, type VirtualMachine, type VirtualMachineImage, type VirtualMachineSnapshot, type VmFork } from '@corral/contracts';
import type { SourceView } from '@corral/scheduling';
import type { Informers } from '../controllers/informers.ts';
import { minimumMemoryMiB } from '../images/image-digest.ts';

/** Where a machine's source stands, as far as placing it goes. `about` names the source, so that whoever waits for it can be found. */
export type MachineSource =
  | { readonly type: 'Known'; readonly view: SourceView }
  | { readonly type: 'Waiting'; readonly about: string; readonly reason: string; readonly message: string };

export const imageKey = (name: string): string => `image/${name}`;
export const snapshotKey = (namespace: string, name: string): string => `snapshot/${namespace}/${name}`;

export function sourceOf(vm: VirtualMachine, informers: Informers): MachineSource {
  const { namespace = '' } = vm.metadata;
  const { image, snapshot = '', virtualMachine } = vm.status?.continueFrom ? { image: undefined, snapshot: vm.status.continueFrom.snapshot } : startSourceOf(vm);
  const { fork } = vm.status ?? {};
  if (fork && virtualMachine !== undefined) return forkSource(fork);
  return image === undefined
    ? snapshotSource(namespace, snapshot, informers.of(virtualMachineSnapshots).get(namespace, snapshot))
    : imageSource(vm, image, informers.of(virtualMachineImages).get(undefined, image));
}

/** A moment is there from the first, wherever it goes from there; a node says of a fork that has lost it what can be made of that. */
const forkSource = ({ v86Build, memoryMiB, nodeName }: VmFork): MachineSource => ({ type: 'Known', view: { v86Build, memoryMiB, forkedOn: nodeName } });

function snapshotSource(namespace: string, name: string, snapshot: VirtualMachineSnapshot | undefined): MachineSource {
  const about = snapshotKey(namespace, name);
  if (!snapshot) return { type: 'Waiting', about, reason: 'SnapshotNotFound', message: `Snapshot "${name}" does not exist.` };
  const ready = findCondition(snapshot.status?.conditions, 'Ready');
  if (ready?.status !== 'True') return { type: 'Waiting', about, reason: 'SnapshotNotReady', message: `Snapshot "${name}" is not Ready${ready ? `: ${ready.reason}` : ''}.` };
  const { image, digest, v86Build, memoryMiB } = snapshot.status ?? {};
  return { type: 'Known', view: { image, snapshotDigest: digest, v86Build, memoryMiB } };
}

function imageSource(vm: VirtualMachine, name: string, image: VirtualMachineImage | undefined): MachineSource {
  const about = imageKey(name);
  if (!image) return { type: 'Waiting', about, reason: 'ImageNotFound', message: `Image "${name}" does not exist.` };
  const ready = findCondition(image.status?.conditions, 'Ready');
  if (ready?.status !== 'True') {
    return { type: 'Waiting', about, reason: 'ImageNotReady', message: `Image "${name}" is not Ready${ready ? `: ${ready.reason}: ${ready.message}` : ' yet.'}` };
  }
  // Admission could not know this when the machine was created before its image was fetched.
  const neededMiB = minimumMemoryMiB(image.status?.artifacts ?? {});
  if ((parseBytes(vm.spec?.memory ?? '') ?? Infinity) < neededMiB * MIB) {
    return { type: 'Waiting', about, reason: 'MemoryTooSmall', message: `Image "${name}" needs at least ${neededMiB}Mi; the machine has ${vm.spec?.memory}.` };
  }
  const bytes = parseBytes(image.spec?.memory ?? '');
  return { type: 'Known', view: { image: name, memoryMiB: bytes === undefined ? undefined : Math.ceil(bytes / MIB) } };
}
