import { Inject, Injectable } from '@nestjs/common';
import { systemClock } from '@corral/base';
import {
  findCondition,
  MIB,
  formatBytes,
  nodes,
  parseBytes,
  virtualMachineImages,
  virtualMachines,
  virtualMachineSnapshots,
  withCondition,
  type ObjectClient,
  type ObjectKey,
  type VirtualMachine,
  type VirtualMachineImage,
} from '@corral/contracts';
import { EventRecorder, type ReconcileResult } from '@corral/reconcile';
import { Bookings, explain, machineRequest, nodeViews, schedule, type SourceView } from '@corral/scheduling';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { minimumMemoryMiB } from '../images/image-digest.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';

/** Something that frees room may be missed (a node that grew); looking again is cheap. */
const RETRY_MS = 30_000;

/** Where a machine's source stands, as far as placing it goes. */
type Source = { readonly type: 'Known'; readonly view: SourceView } | { readonly type: 'Waiting'; readonly reason: string; readonly message: string };

/**
 * Binds machines that should run to nodes. What it decides on may be stale by a moment; the compare-and-set on
 * spec.nodeName is what keeps a machine on one node, and each decision of its own counts in the next.
 */
@Injectable()
export class SchedulerReconciler implements Reconciler {
  readonly name = 'scheduler';
  readonly concurrency = 4;
  readonly triggers: readonly Trigger[];
  readonly #bookings = new Bookings();
  /** Machines whose binding is being written: they take their room from the moment it is decided. */
  readonly #assumed = new Map<string, VirtualMachine>();
  readonly #unplaced = new Map<string, ObjectKey>();

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    this.triggers = [
      on(virtualMachines, (key, vm) => {
        const text = `${key.namespace}/${key.name}`;
        this.#book(text, vm);
        if (vm) return [key];
        // A machine that went left room for those that wait.
        this.#unplaced.delete(text);
        return [...this.#unplaced.values()];
      }),
      on(nodes, () => [...this.#unplaced.values()]),
      on(virtualMachineSnapshots, ({ namespace, name }) =>
        this.#waitingFor((key, vm) => key.namespace === namespace && vm?.spec?.source.snapshot === name),
      ),
      on(virtualMachineImages, ({ name }) => this.#waitingFor((_key, vm) => vm?.spec?.source.image === name)),
    ];
    reconcilers.add(this);
  }

  get #machines() {
    return this.informers.of(virtualMachines);
  }

  #waitingFor(isFor: (key: ObjectKey, vm: VirtualMachine | undefined) => boolean): ObjectKey[] {
    return [...this.#unplaced.values()].filter((key) => isFor(key, this.#machines.get(key.namespace, key.name)));
  }

  async reconcile(key: ObjectKey): Promise<ReconcileResult> {
    const vm = this.#machines.get(key.namespace, key.name);
    const text = `${key.namespace}/${key.name}`;
    if (!vm?.spec || vm.metadata.deletionTimestamp !== undefined || vm.spec.nodeName !== undefined || vm.spec.powerState === 'Stopped') {
      this.#unplaced.delete(text);
      return DONE;
    }
    this.#unplaced.set(text, key);

    const source = this.#sourceOf(vm);
    if (source.type === 'Waiting') return this.#refuse(vm, source.reason, source.message);

    const placement = schedule(machineRequest(vm, source.view), nodeViews(this.informers.of(nodes).list(), this.#bookings));
    if (placement.outcome === 'Unschedulable') return this.#refuse(vm, 'Unschedulable', explain(placement.rejections));
    await this.#assume(text, vm, placement.nodeName, () => this.#bind(vm, placement.nodeName, source.view));
    this.#unplaced.delete(text);
    return DONE;
  }

  /** While the write is under way the machine counts as bound; when it fails it gives its room back. */
  async #assume(text: string, vm: VirtualMachine, nodeName: string, bind: () => Promise<void>): Promise<void> {
    if (!vm.spec) return;
    this.#assumed.set(text, { ...vm, spec: { ...vm.spec, nodeName } });
    this.#book(text, vm);
    try {
      await bind();
    } finally {
      this.#assumed.delete(text);
      this.#book(text, this.#machines.get(vm.metadata.namespace, vm.metadata.name));
    }
  }

  #book(text: string, vm: VirtualMachine | undefined): void {
    this.#bookings.update(text, vm && vm.spec?.nodeName === undefined ? (this.#assumed.get(text) ?? vm) : vm);
  }

  #sourceOf(vm: VirtualMachine): Source {
    const { continueFrom } = vm.status ?? {};
    const { image, snapshot } = continueFrom ? { image: undefined, snapshot: continueFrom.snapshot } : (vm.spec?.source ?? {});
    if (image !== undefined) {
      const found = this.informers.of(virtualMachineImages).get(undefined, image);
      return imageSource(vm, image, found);
    }
    const found = this.informers.of(virtualMachineSnapshots).get(vm.metadata.namespace, snapshot ?? '');
    if (!found) return { type: 'Waiting', reason: 'SnapshotNotFound', message: `Snapshot "${snapshot}" does not exist.` };
    const ready = findCondition(found.status?.conditions, 'Ready');
    if (ready?.status !== 'True') {
      return { type: 'Waiting', reason: 'SnapshotNotReady', message: `Snapshot "${snapshot}" is not Ready${ready ? `: ${ready.reason}` : ''}.` };
    }
    const { imageDigest, v86Build, memoryMiB } = found.status ?? {};
    return { type: 'Known', view: { imageDigest, v86Build, memoryMiB } };
  }

  /** One write: admission adds the condition. */
  async #bind(vm: VirtualMachine, nodeName: string, source: SourceView): Promise<void> {
    if (!vm.spec) return;
    const memory = vm.spec.memory ?? (source.memoryMiB === undefined ? undefined : formatBytes(source.memoryMiB * MIB));
    const bound = await this.objects.replace(virtualMachines, { ...vm, spec: { ...vm.spec, nodeName, ...(memory === undefined ? {} : { memory }) } });
    this.#machines.observe(bound);
    this.events.record(bound, 'Normal', 'Scheduled', `Bound to ${nodeName}.`);
  }

  async #refuse(vm: VirtualMachine, reason: string, message: string): Promise<ReconcileResult> {
    const told = findCondition(vm.status?.conditions, 'Scheduled');
    const conditions = withCondition(vm.status?.conditions, { type: 'Scheduled', status: 'False', reason, message }, systemClock.now(), vm.metadata.generation);
    await writeStatus(this.objects, this.#machines, virtualMachines, vm, { ...vm.status, phase: 'Pending', conditions });
    if (told?.message !== message) this.events.record(vm, 'Warning', 'FailedScheduling', message);
    return after(RETRY_MS);
  }
}

function imageSource(vm: VirtualMachine, name: string, image: VirtualMachineImage | undefined): Source {
  if (!image) return { type: 'Waiting', reason: 'ImageNotFound', message: `Image "${name}" does not exist.` };
  const ready = findCondition(image.status?.conditions, 'Ready');
  if (ready?.status !== 'True') {
    return { type: 'Waiting', reason: 'ImageNotReady', message: `Image "${name}" is not Ready${ready ? `: ${ready.reason}: ${ready.message}` : ' yet.'}` };
  }
  // Admission could not know this when the machine was created before its image was fetched.
  const neededMiB = minimumMemoryMiB(image.status?.artifacts ?? {});
  if ((parseBytes(vm.spec?.memory ?? '') ?? Infinity) < neededMiB * MIB) {
    return { type: 'Waiting', reason: 'MemoryTooSmall', message: `Image "${name}" needs at least ${neededMiB}Mi; the machine has ${vm.spec?.memory}.` };
  }
  return { type: 'Known', view: { imageDigest: image.status?.digest, memoryMiB: mebibytesOf(image) } };
}

const mebibytesOf = (image: VirtualMachineImage): number | undefined => {
  const bytes = parseBytes(image.spec?.memory ?? '');
  return bytes === undefined ? undefined : Math.ceil(bytes / MIB);
};
