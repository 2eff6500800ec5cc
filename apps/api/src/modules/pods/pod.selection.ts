import { Selection } from '@corral/api-machinery';
import { pods, virtualMachines, type KindDefinition, type KubeObject, type Pod, type VirtualMachine, type WatchEvent } from '@corral/contracts';
import { hasPod, podOf } from './pod-of.ts';

export const POD_KIND = pods as unknown as KindDefinition;
const MACHINE_KIND = virtualMachines as unknown as KindDefinition;

/** The machines whose Pods a selection of Pods is about: what the change log knows, in the words of who asks. */
export class MachinesOfPods extends Selection {
  readonly #pods: Selection;

  constructor(selection: Selection) {
    super(MACHINE_KIND, { namespace: selection.namespace });
    this.#pods = selection;
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

export const podEvent = ({ type, object }: WatchEvent): WatchEvent => ({ type, object: podOf(object as VirtualMachine) });
