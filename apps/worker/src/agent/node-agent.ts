import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HttpObjectClient } from '@corral/client';
import { type Clock, Disposer, systemClock } from '@corral/base';
import {
  type KindDefinition,
  type ListOptions,
  type ObjectClient,
  virtualMachineImages,
  type VirtualMachineImageSpec,
  type VirtualMachineImageStatus,
  virtualMachines,
  virtualMachineSnapshots,
  type VirtualMachineSnapshotSpec,
  type VirtualMachineSnapshotStatus,
  type VirtualMachineSpec,
  type VirtualMachineStatus,
} from '@corral/contracts';
import { Controller, EventRecorder, Informer } from '@corral/reconcile';
import { type ObjectStore } from '@corral/object-store';
import { v86Build } from '@corral/v86-host';
import { type Logger } from 'pino';
import { type WorkerConfig } from '../config.ts';
import { AccessTokens } from '../data-plane/access-token.ts';
import { DataPlaneServer } from '../data-plane/server.ts';
import { ArtifactCache } from '../machine/artifact-cache.ts';
import { Preparer } from '../machine/preparation.ts';
import { ProcessPool } from '../machine/process-pool.ts';
import { SnapshotCache } from '../machine/snapshot-cache.ts';
import { Supervisor } from '../machine/supervisor.ts';
import { SnapshotConvergence } from '../snapshots/snapshot-convergence.ts';
import { Spool } from '../snapshots/spool.ts';
import { Convergence } from './convergence.ts';
import { Hints } from './hints.ts';
import { ImagePrefetch } from './image-prefetch.ts';
import { LEASE_RENEW_MS, NodeLease } from './lease.ts';
import { Metrics } from './metrics.ts';
import { advertisedHost, Registration } from './registration.ts';
import { Repetition } from './repetition.ts';

const RESYNC_MS = 30_000;
const HOUSEKEEPING_MS = 30_000;
const CONVERGENCE_CONCURRENCY = 16;
const SNAPSHOT_CONCURRENCY = 2;
/** All machines together must be suspended by then; a service manager kills after 30 s or so. */
const SUSPEND_DEADLINE_MS = 20_000;
const VM_PROCESS_ENTRY = fileURLToPath(new URL('../vm-process/main.js', import.meta.url));

/** The process that represents a Node: registers it, converges what is bound to it, and gives it back in good order. */
export class NodeAgent {
  readonly #config: WorkerConfig;
  readonly #log: Logger;
  readonly #store: ObjectStore;
  readonly #clock: Clock = systemClock;
  readonly #disposer = new Disposer();
  readonly #abort = new AbortController();
  readonly #informers: { readonly kind: string; readonly corrections: () => number }[] = [];
  readonly #metrics = new Metrics({
    phases: () => this.#supervisor?.machines.map(({ state }) => state.phase) ?? [],
    corrections: () => Object.fromEntries(this.#informers.map(({ kind, corrections }) => [kind, corrections()])),
  });
  #supervisor: Supervisor | undefined;
  #stop: (() => Promise<void>) | undefined;

  constructor(config: WorkerConfig, store: ObjectStore, log: Logger) {
    this.#config = config;
    this.#store = store;
    this.#log = log.child({ node: config.nodeName });
  }

  /** Comes up as far as it can without the API, which it then waits for in the background. */
  async start(): Promise<void> {
    const { home, nodeName, firmwareDirectory } = this.#config;
    const firmware = {
      biosPath: join(firmwareDirectory, 'bios.bin'),
      vgaBiosPath: join(firmwareDirectory, 'vgabios.bin'),
    };
    const build = await v86Build(firmware);
    const client: ObjectClient = new HttpObjectClient({ baseUrl: this.#config.apiUrl, token: this.#config.nodeToken });
    const store = this.#store;
    const recorder = new EventRecorder({
      client,
      component: 'corral-worker',
      host: nodeName,
      clock: this.#clock,
      onFailure: (error) => this.#log.debug({ err: error }, 'An event could not be written'),
    });

    const artifacts = new ArtifactCache({
      directory: join(home, 'artifacts'),
      store,
      maxBytes: this.#config.artifactCacheMiB * 2 ** 20,
    });
    const snapshotCache = new SnapshotCache({
      directory: join(home, 'snapshots'),
      store,
      maxBytes: this.#config.snapshotCacheMiB * 2 ** 20,
    });
    const spool = new Spool(join(home, 'spool'));
    const pool = new ProcessPool({
      entryPath: VM_PROCESS_ENTRY,
      directory: join(home, 'processes'),
      size: this.#config.poolSize,
      log: this.#log,
    });
    await Promise.all([artifacts.open(), snapshotCache.open(), spool.open(), pool.open()]);
    this.#disposer.add(() => pool.close());

    const mine: ListOptions = { fieldSelector: `spec.nodeName=${nodeName}` };
    const machines = this.#informer<VirtualMachineSpec, VirtualMachineStatus>(client, virtualMachines, mine);
    const snapshots = this.#informer<VirtualMachineSnapshotSpec, VirtualMachineSnapshotStatus>(
      client,
      virtualMachineSnapshots,
      mine,
    );
    const supervisor = new Supervisor({
      home,
      pool,
      snapshots: snapshotCache,
      firmware,
      v86Build: build,
      clock: this.#clock,
      log: this.#log,
      preparer: new Preparer({ client, artifacts, snapshots: snapshotCache, v86Build: build }),
      onChange: (key) => machineController.enqueue(key),
      onReady: (from, startMilliseconds) => this.#metrics.observeStart(from, startMilliseconds),
      onNotice: (uid, { type, reason, message }) => {
        const vm = machines.getByUid(uid);
        if (vm) recorder.record(vm, type, reason, message);
      },
    });
    this.#supervisor = supervisor;
    await supervisor.open();
    this.#disposer.add(() => supervisor.close());

    const convergence = new Convergence({ nodeName, client, machines, supervisor, recorder, clock: this.#clock });
    const machineController = this.#controller('machines', CONVERGENCE_CONCURRENCY, (key) =>
      convergence.reconcile(key),
    );
    const snapshotConvergence = new SnapshotConvergence({
      nodeName,
      client,
      snapshots,
      machines,
      supervisor,
      store,
      spool,
      recorder,
      clock: this.#clock,
      log: this.#log,
    });
    const snapshotController = this.#controller('snapshots', SNAPSHOT_CONCURRENCY, (key, signal) =>
      snapshotConvergence.reconcile(key, signal),
    );
    const images = this.#informer<VirtualMachineImageSpec, VirtualMachineImageStatus>(client, virtualMachineImages, {});
    const prefetch = new ImagePrefetch({ images, artifacts, snapshots: snapshotCache, v86Build: build });
    const imageController = this.#controller('images', 1, (key) => prefetch.reconcile(key));
    images.onChange((key) => imageController.enqueue(key));
    machines.onChange((key) => machineController.enqueue(key));
    snapshots.onChange((key) => snapshotController.enqueue(key));

    const dataPlane = new DataPlaneServer({
      host: this.#config.dataPlane.host,
      port: this.#config.dataPlane.port,
      log: this.#log,
      metrics: this.#metrics,
      tokens: new AccessTokens(this.#config.dataPlane.secret),
      endpoint: (uid) => supervisor.endpoint(uid),
    });
    const port = await dataPlane.listen();
    this.#disposer.add(() => dataPlane.close());
    const dataPlaneUrl = this.#config.dataPlane.url ?? `http://${advertisedHost(this.#config.dataPlane.host)}:${port}`;

    const registration = new Registration({
      client,
      nodeName,
      dataPlaneUrl,
      v86Build: build,
      machinesMax: this.#config.machinesMax,
      reservedMemoryMiB: this.#config.reservedMemoryMiB,
      clock: this.#clock,
      machines: () => supervisor.liveCount,
      images: () => prefetch.ready,
    });
    const lease = new NodeLease({ client, nodeName, clock: this.#clock });
    let isRegistered = false;
    const signOfLife = new Repetition({
      name: 'The sign of life',
      everyMs: LEASE_RENEW_MS,
      log: this.#log,
      work: async () => {
        await (isRegistered ? registration.report({ ready: true }) : registration.register());
        isRegistered = true;
        await lease.renew();
      },
    });
    const housekeeping = new Repetition({
      name: 'Housekeeping',
      everyMs: HOUSEKEEPING_MS,
      log: this.#log,
      work: async () => {
        if (!machines.hasSynced) return;
        const left = await supervisor.sweep(new Set(machines.list().map(({ metadata }) => metadata.uid)));
        if (left.length > 0) this.#log.info({ machines: left }, 'Removed what earlier machines left');
        for (const { key, uid } of supervisor.machines) if (!machines.getByUid(uid)) machineController.enqueue(key);
        if (!images.hasSynced) return;
        await artifacts.prune(new Set([...(await supervisor.neededArtifacts()), ...prefetch.neededArtifacts()]));
        await snapshotCache.prune(new Set(prefetch.neededSnapshots()));
      },
    });
    const hints =
      this.#config.redisUrl === undefined
        ? undefined
        : new Hints({
            redisUrl: this.#config.redisUrl,
            nodeName,
            log: this.#log,
            onHint: ({ resource, namespace, name }) => {
              if (resource === virtualMachines.plural) machineController.enqueue({ namespace, name });
              else if (resource === virtualMachineSnapshots.plural) snapshotController.enqueue({ namespace, name });
            },
          });

    signOfLife.start();
    hints?.start();
    machines.start(this.#abort.signal);
    snapshots.start(this.#abort.signal);
    images.start(this.#abort.signal);
    imageController.start();
    void Promise.all([machines.synced(), snapshots.synced()]).then(() => {
      if (this.#abort.signal.aborted) return;
      machineController.start();
      snapshotController.start();
      housekeeping.start();
      this.#log.info({ machines: machines.list().length, dataPlaneUrl, v86Build: build }, 'The node agent is up');
    });

    this.#stop = async () => {
      await Promise.all([
        signOfLife.stop(),
        housekeeping.stop(),
        hints?.stop(),
        snapshotController.stop(),
        imageController.stop(),
      ]);
      convergence.nodeStopping = true;
      for (const { key } of supervisor.machines) machineController.enqueue(key);
      await this.#until(() => supervisor.liveCount === 0, SUSPEND_DEADLINE_MS);
      await this.#within(2_000, Promise.all([registration.report({ ready: false, force: true }), recorder.flushed()]));
      await this.#within(2_000, this.#settled(machineController));
      this.#abort.abort();
      await this.#within(
        2_000,
        Promise.all([machineController.stop(), machines.stopped(), snapshots.stopped(), images.stopped()]),
      );
    };
  }

  /** Suspends what runs, says goodbye to the API where it answers, and ends every process. */
  async stop(): Promise<void> {
    this.#log.info('The node agent stops');
    await this.#stop?.();
    this.#abort.abort();
    await this.#disposer.dispose();
    this.#log.info('The node agent has stopped');
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
        if (!isFailing)
          this.#log.warn(
            { err: error, kind: kind.kind },
            'The API cannot be watched; machines run on, and it is tried again',
          );
        isFailing = true;
      },
    });
    informer.onChange(() => (isFailing = false));
    this.#informers.push({ kind: kind.kind, corrections: () => informer.corrections });
    return informer;
  }

  #controller(
    name: string,
    concurrency: number,
    reconcile: ConstructorParameters<typeof Controller>[0]['reconcile'],
  ): Controller {
    return new Controller({
      name,
      concurrency,
      reconcile,
      backoff: { baseMs: 200, maxMs: 15_000 },
      onError: (key, error) => {
        this.#metrics.countFailure(name);
        this.#log.warn(
          { err: error, controller: name, object: `${key.namespace}/${key.name}` },
          'Reconciling failed; it is tried again',
        );
      },
    });
  }

  /** Gives the last reports a moment to be written. */
  #settled(controller: Controller): Promise<void> {
    return this.#until(() => controller.waiting === 0, 2_000);
  }

  async #until(condition: () => boolean, deadlineMs: number): Promise<void> {
    const deadline = Date.now() + deadlineMs;
    while (!condition() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  async #within(deadlineMs: number, work: Promise<unknown>): Promise<void> {
    const timer = Promise.withResolvers<undefined>();
    const handle = setTimeout(() => timer.resolve(undefined), deadlineMs);
    await Promise.race([
      work.catch((error: unknown) => this.#log.debug({ err: error }, 'Not everything could be said before the end')),
      timer.promise,
    ]);
    clearTimeout(handle);
  }
}
