import { Inject, Injectable, Optional } from '@nestjs/common';
import { systemClock, type Clock } from '@corral/base';
import { virtualMachines, virtualMachineSnapshots, type ObjectClient, type ObjectKey, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { EventRecorder, type ReconcileResult } from '@corral/reconcile';
import { ObjectStore } from '@corral/object-store';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { lastSnapshot } from '../nodes/recovery.plan.ts';
import { candidatesOf, lossOf, planStateLoss } from './state-loss.plan.ts';

/** The machine's node waits half a minute. */
const LOOK_DEADLINE_MS = 5_000;

/** Says where a machine goes on that lost what it held. Its node waits for that word. */
@Injectable()
export class StateLossReconciler implements Reconciler {
  readonly name = 'state-loss';
  readonly concurrency = 4;
  readonly triggers: readonly Trigger[] = [on(virtualMachines, (key, vm) => (vm && lossOf(vm) ? [key] : []))];
  readonly #snapshotsOf: (machine: string) => readonly VirtualMachineSnapshot[];

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(ObjectStore) private readonly store: ObjectStore,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(Reconcilers) reconcilers: Reconcilers,
    @Optional() private readonly clock: Clock = systemClock,
  ) {
    this.#snapshotsOf = informers.of(virtualMachineSnapshots).index(({ metadata, spec }) => `${metadata.namespace}/${spec?.virtualMachine}`);
    reconcilers.add(this);
  }

  async reconcile({ namespace, name }: ObjectKey): Promise<ReconcileResult> {
    const informer = this.informers.of(virtualMachines);
    const vm = informer.get(namespace, name);
    const step = vm && lossOf(vm) && planStateLoss(vm, await this.#whole(vm, candidatesOf(vm, this.#snapshotsOf(`${namespace}/${name}`))), this.clock.now());
    if (!vm || !step) return DONE;
    await writeStatus(this.objects, informer, virtualMachines, vm, step.status);
    this.events.record(vm, 'Warning', step.reason, step.message);
    return DONE;
  }

  /** Without those newest ones of which something is missing: what took the machine's memory may have taken theirs. */
  async #whole(vm: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[]): Promise<readonly VirtualMachineSnapshot[]> {
    const newest = lastSnapshot(vm, snapshots);
    if (!newest || (await this.#isWhole(newest))) return snapshots;
    return this.#whole(vm, snapshots.filter((snapshot) => snapshot !== newest));
  }

  /** While the object store does not answer nothing counts as missing: a start from there is tried until it does. */
  async #isWhole({ status }: VirtualMachineSnapshot): Promise<boolean> {
    const keys = [...(status?.manifestKey === undefined ? [] : [status.manifestKey]), ...(status?.layers ?? [])];
    const signal = AbortSignal.timeout(LOOK_DEADLINE_MS);
    const found = await Promise.all(keys.map((key) => this.store.head(key, signal).catch(() => 'Unknown' as const)));
    return found.every((object) => object !== undefined);
  }
}
