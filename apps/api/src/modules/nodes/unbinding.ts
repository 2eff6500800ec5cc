import { Inject, Injectable } from '@nestjs/common';
import { successor } from '@corral/api-machinery';
import { virtualMachines, type KubeObject, type VirtualMachine, type VirtualMachineStatus } from '@corral/contracts';
import { MACHINE_FINALIZER } from '@corral/vm-lifecycle';
import { withoutFinalizer } from '../admission/finalizers.ts';
import { Informers } from '../controllers/informers.ts';
import { ChargedStore } from '../quota/charged-store.ts';

/**
 * Takes machines from their nodes. Binding and status change in one write: between two, a node that comes back could
 * believe either. No verb of the API does this, so nobody but the control plane can.
 */
@Injectable()
export class Unbinding {
  constructor(
    @Inject(ChargedStore) private readonly store: ChargedStore,
    @Inject(Informers) private readonly informers: Informers,
  ) {}

  /** Refuses with `object.conflict` when the machine is not as it was read. */
  async unbind(vm: VirtualMachine, status: VirtualMachineStatus): Promise<VirtualMachine> {
    const { nodeName: _node, ...spec } = vm.spec ?? {};
    const next = successor(vm, { ...withoutFinalizer(vm, MACHINE_FINALIZER), spec, status });
    if (!next) return vm;
    const written = (await this.store.update(virtualMachines, vm, next)) as KubeObject as VirtualMachine;
    this.informers.of(virtualMachines).observe(written);
    return written;
  }
}
