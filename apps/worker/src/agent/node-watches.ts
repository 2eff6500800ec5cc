import {
  type KindDefinition,
  type ListOptions,
  type ObjectClient,
  virtualMachineImages,
  type VirtualMachineImageSpec,
  type VirtualMachineImageStatus,
  virtualMachines,
  type VirtualMachineSnapshotSpec,
  virtualMachineSnapshots,
  type VirtualMachineSnapshotStatus,
  type VirtualMachineSpec,
  type VirtualMachineStatus,
} from '@corral/contracts';
import { Informer } from '@corral/reconcile';
import { type Logger } from 'pino';

/** Hints and watches are what is fast; a thousand nodes that list everything often would be most of the API's work. */
const RESYNC_MS = 10 * 60_000;

/** What a node sees of the API: what is bound to it, and every image. */
export class NodeWatches {
  readonly machines: Informer<VirtualMachineSpec, VirtualMachineStatus>;
  readonly snapshots: Informer<VirtualMachineSnapshotSpec, VirtualMachineSnapshotStatus>;
  readonly images: Informer<VirtualMachineImageSpec, VirtualMachineImageStatus>;
  readonly #log: Logger;
  readonly #abort = new AbortController();

  constructor({
    client,
    nodeName,
    log,
  }: {
    readonly client: ObjectClient;
    readonly nodeName: string;
    readonly log: Logger;
  }) {
    this.#log = log;
    const mine: ListOptions = { fieldSelector: `spec.nodeName=${nodeName}` };
    this.machines = this.#informer(client, virtualMachines, mine);
    this.snapshots = this.#informer(client, virtualMachineSnapshots, mine);
    this.images = this.#informer(client, virtualMachineImages, {});
  }

  start(): void {
    for (const informer of [this.machines, this.snapshots, this.images]) informer.start(this.#abort.signal);
  }

  /** Resolves when everything was listed once; never, when it is stopped before. */
  async synced(): Promise<void> {
    await Promise.all([this.machines.synced(), this.snapshots.synced(), this.images.synced()]);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await Promise.all([this.machines.stopped(), this.snapshots.stopped(), this.images.stopped()]);
  }

  get isStopped(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Objects that resyncs found different from what the watches had told, by kind. */
  corrections(): Readonly<Record<string, number>> {
    return {
      [virtualMachines.kind]: this.machines.corrections,
      [virtualMachineSnapshots.kind]: this.snapshots.corrections,
      [virtualMachineImages.kind]: this.images.corrections,
    };
  }

  #informer<Spec, Status>(
    client: ObjectClient,
    kind: KindDefinition<Spec, Status>,
    options: ListOptions,
  ): Informer<Spec, Status> {
    let isFailing = false;
    const informer = new Informer<Spec, Status>({
      client,
      kind,
      options,
      resyncMs: RESYNC_MS,
      onFailure: (error) => {
        const context = { err: error, kind: kind.kind };
        if (!isFailing) this.#log.warn(context, 'The API cannot be watched; machines run on, and it is tried again');
        isFailing = true;
      },
    });
    informer.onChange(() => (isFailing = false));
    return informer;
  }
}
