import { Inject, Injectable } from '@nestjs/common';
import { successor } from '@corral/api-machinery';
import { systemClock } from '@corral/base';
import { formatBytes, MIB, virtualMachines, withCondition, type KindDefinition, type KubeObject, type VirtualMachine } from '@corral/contracts';
import { Informers } from '../controllers/informers.ts';
import { ChargedStore } from '../quota/charged-store.ts';

const KIND: KindDefinition = virtualMachines;

/**
 * Binds machines to nodes: one write by compare-and-set, which the database refuses when the node has no room (node.full),
 * whatever this process believed. Nothing is validated anew, as what is bound was validated when it was stored.
 */
@Injectable()
export class Binding {
  constructor(
    @Inject(ChargedStore) private readonly store: ChargedStore,
    @Inject(Informers) private readonly informers: Informers,
  ) {}

  /** Refuses with `object.conflict` when the machine is not as it was read. `defaultMemoryMiB` is what its source asks for. */
  async bind(vm: VirtualMachine, nodeName: string, defaultMemoryMiB: number | undefined): Promise<VirtualMachine> {
    const { nominatedNodeName: _nominated, ...status } = vm.status ?? {};
    const memory = vm.spec?.memory ?? (defaultMemoryMiB === undefined ? undefined : formatBytes(defaultMemoryMiB * MIB));
    const conditions = withCondition(status.conditions, { type: 'Scheduled', status: 'True', reason: 'Bound', message: `Bound to ${nodeName}.` }, systemClock.now());
    const next = successor(vm, {
      ...vm,
      spec: { ...vm.spec, nodeName, ...(memory === undefined ? {} : { memory }) },
      status: { ...status, phase: 'Scheduled', conditions },
    } as KubeObject);
    if (!next) return vm;
    const bound = (await this.store.update(KIND, vm, next)) as VirtualMachine;
    this.informers.of(virtualMachines).observe(bound);
    return bound;
  }
}
