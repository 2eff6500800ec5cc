import { isProblem, virtualMachineSnapshots, type ObjectClient, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import type { Informers } from '../controllers/informers.ts';

/** What became of the wish for one: Exists, somebody was there first, under this name; Refused, as by a quota that is used up. */
export type Taking = { readonly type: 'Taken' | 'Exists' } | { readonly type: 'Refused'; readonly message: string };

/** The snapshots a controller takes of machines for an end of its own. A label tells them apart, and they go with their machine. */
export class OwnSnapshots {
  readonly #label: string;
  readonly #objects: ObjectClient;
  readonly #informers: Informers;

  constructor(label: string, objects: ObjectClient, informers: Informers) {
    this.#label = label;
    this.#objects = objects;
    this.#informers = informers;
  }

  has(snapshot: VirtualMachineSnapshot | undefined): boolean {
    return snapshot?.metadata.labels?.[this.#label] === 'true';
  }

  async take(vm: VirtualMachine, name: string): Promise<Taking> {
    const { namespace, uid } = vm.metadata;
    try {
      const taken = await this.#objects.create(virtualMachineSnapshots, {
        metadata: {
          name,
          ...(namespace === undefined ? {} : { namespace }),
          labels: { [this.#label]: 'true' },
          ownerReferences: [{ apiVersion: vm.apiVersion, kind: vm.kind, name: vm.metadata.name, uid, controller: true, blockOwnerDeletion: false }],
        },
        spec: { virtualMachine: vm.metadata.name },
      });
      this.#informers.of(virtualMachineSnapshots).observe(taken);
      return { type: 'Taken' };
    } catch (error) {
      if (isProblem(error, 'object.exists')) return { type: 'Exists' };
      if (isProblem(error, 'request.forbidden', 'object.invalid')) return { type: 'Refused', message: error.message };
      throw error;
    }
  }

  async remove(vm: VirtualMachine, name: string): Promise<void> {
    // Read past the copy, which may not have it yet.
    const snapshot = await this.#objects.get(virtualMachineSnapshots, vm.metadata.namespace, name);
    if (snapshot && this.#isOf(vm, snapshot)) await this.#delete(snapshot);
  }

  /** For who needs only the last. */
  async removeAllBut(vm: VirtualMachine, name: string | undefined): Promise<void> {
    const all = this.#informers.of(virtualMachineSnapshots).list();
    for (const snapshot of all) if (snapshot.metadata.name !== name && this.#isOf(vm, snapshot)) await this.#delete(snapshot);
  }

  #isOf(vm: VirtualMachine, snapshot: VirtualMachineSnapshot): boolean {
    return this.has(snapshot) && snapshot.metadata.ownerReferences?.some(({ uid }) => uid === vm.metadata.uid) === true;
  }

  async #delete({ metadata }: VirtualMachineSnapshot): Promise<void> {
    await this.#objects.delete(virtualMachineSnapshots, metadata.namespace, metadata.name, { uid: metadata.uid });
  }
}
