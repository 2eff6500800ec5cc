import { Selection, type Change } from '@corral/api-machinery';
import { pods, virtualMachines, type KindDefinition, type KubeObject, type Pod, type VirtualMachine, type WatchEvent } from '@corral/contracts';
import { hasPod, podOf } from './pod-of.ts';

export const POD_KIND: KindDefinition = pods;
const MACHINE_KIND: KindDefinition = virtualMachines;

/** The machines whose Pods a selection of Pods is about: what the change log knows, in the words of who asks. */
export class MachinesOfPods extends Selection {
  readonly #pods: Selection;

  constructor(selection: Selection) {
    super(MACHINE_KIND, { namespace: selection.namespace });
    this.#pods = selection;
  }

  /** What a machine was before the change that an event tells of. */
  readonly previous = new WeakMap<WatchEvent, KubeObject>();

  override eventOf(change: Change): WatchEvent | undefined {
    const event = super.eventOf(change);
    if (event && change.previous) this.previous.set(event, change.previous);
    return event;
  }

  override matches(object: KubeObject): boolean {
    const vm = object as VirtualMachine;
    return super.matches(object) && hasPod(vm) && this.#pods.matches(podOf(vm));
  }
}

/** The Pods among machines that a selection is about. */
export const podsAmong = (machines: readonly KubeObject[], selection: Selection): readonly Pod[] => {
  const ofMachines = new MachinesOfPods(selection);
  return machines.filter((vm) => ofMachines.matches(vm)).map((vm) => podOf(vm as VirtualMachine));
};

/**
 * A machine's change as those of Pods. On another node it is another Pod: the old one is told to be gone first, which is
 * what whoever deleted it waits for.
 */
export function podEvents({ type, object }: WatchEvent, previous: KubeObject | undefined): readonly WatchEvent[] {
  const pod = podOf(object as VirtualMachine);
  if (type !== 'MODIFIED' || !previous) return [{ type, object: pod }];
  const before = podOf(previous as VirtualMachine);
  if (before.metadata.uid === pod.metadata.uid) return [{ type, object: pod }];
  const { resourceVersion } = pod.metadata;
  return [
    { type: 'DELETED', object: { ...before, metadata: { ...before.metadata, resourceVersion } } },
    { type: 'ADDED', object: pod },
  ];
}
