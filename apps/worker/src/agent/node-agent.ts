import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Clock, Disposer, systemClock } from '@corral/base';
import { HttpObjectClient } from '@corral/client';
import { DEFAULT_VM_CLASS, MIB, type ObjectKey, virtualMachines, virtualMachineSnapshots } from '@corral/contracts';
import { HostMemory } from '@corral/memory';
import { type ObjectStore } from '@corral/object-store';
import { Controller, EventRecorder, LocalQueue } from '@corral/reconcile';
import { v86Build } from '@corral/v86-host';
import { type Logger } from 'pino';
import { type WorkerConfig } from '../config.ts';
import { BaseImages } from '../bases/base-images.ts';
import { remoteBaseSourceOf } from '../bases/base-source.ts';
import { WorkingSet } from '../bases/working-set.ts';
import { Preparer } from '../machine/preparation.ts';
import { expectedRehearsal } from '../machine/rehearsal.ts';
import { Supervisor } from '../machine/supervisor.ts';
import { NodeMemory } from '../memory/node-memory.ts';
import { SwapKeys } from '../memory/swap-keys.ts';
import { SwapTunnel } from '../memory/swap-tunnel.ts';
import { SnapshotConvergence } from '../snapshots/snapshot-convergence.ts';
import { ForkMoments } from '../snapshots/fork-moments.ts';
import { Convergence } from './convergence.ts';
import { within } from './deadline.ts';
import { depart } from './departure.ts';
import { emptyNode } from './emptying.ts';
import { Expiry, killWhatIsLost } from './fence.ts';
import { Hints } from './hints.ts';
import { ImagePrefetch } from './image-prefetch.ts';
import { NodeLease } from './lease.ts';
import { NodeCredential } from './node-credential.ts';
import { openDataPlane } from './node-data-plane.ts';
import { openNodeHome } from './node-home.ts';
import { Metrics } from './metrics.ts';
import { NodeWatches } from './node-watches.ts';
import { allocatableMemoryBytes, Registration } from './registration.ts';
import { Repetition } from './repetition.ts';
import { StartGate } from './start-gate.ts';
import { systemSteadyClock } from './steady-clock.ts';
import { housekeeping, signOfLife } from './upkeep.ts';

const CONVERGENCE_CONCURRENCY = 16;
/** One alone would leave a core idle whenever it waits for the API or the disk. */
const MIN_STARTS = 2;
/** A fork must not wait until somebody's snapshot has been uploaded. */
const SNAPSHOT_CONCURRENCY = 8;
const MEMORY_LOOK_MS = 5_000;
/** Whose the fields are that it writes, in managedFields. */
const USER_AGENT = 'corral-worker/1';
/** How long closing may take once every machine is suspended. */
const CLOSE_MS = 2_000;

/** The process that represents a Node: registers it, converges what is bound to it, and gives it back in good order. */
export class NodeAgent {
  readonly #config: WorkerConfig;
  readonly #log: Logger;
  readonly #store: ObjectStore;
  readonly #credential: NodeCredential;
  readonly #client: HttpObjectClient;
  /** For the sign of life: an answer that comes after the next renewal is due helps nobody. */
  readonly #urgentClient: HttpObjectClient;
  readonly #recorder: EventRecorder;
  readonly #watches: NodeWatches;
  readonly #metrics: Metrics;
  readonly #bases: BaseImages;
  readonly #clock: Clock = systemClock;
  readonly #disposer = new Disposer();
  #supervisor: Supervisor | undefined;
  #starts: StartGate | undefined;
  #memory: NodeMemory | undefined;
  #empty: (() => Promise<void>) | undefined;
  #depart: (() => Promise<void>) | undefined;

  constructor(config: WorkerConfig, store: ObjectStore, log: Logger) {
    this.#config = config;
    this.#store = store;
    this.#log = log.child({ node: config.nodeName });
    this.#credential = new NodeCredential({
      home: config.home,
      apiUrl: config.apiUrl,
      nodeName: config.nodeName,
      bootstrapToken: config.nodeToken,
      log: this.#log,
    });
    const token = (): Promise<string> => this.#credential.token();
    this.#client = new HttpObjectClient({ baseUrl: config.apiUrl, token, userAgent: USER_AGENT });
    this.#urgentClient = new HttpObjectClient({
      baseUrl: config.apiUrl,
      token,
      userAgent: USER_AGENT,
      deadlineMs: Math.max(1_000, (config.leaseSeconds * 1000) / 4),
    });
    this.#recorder = new EventRecorder({
      client: this.#client,
      component: 'corral-worker',
      host: config.nodeName,
      clock: this.#clock,
      onFailure: (error) => this.#log.debug({ err: error }, 'An event could not be written'),
    });
    this.#watches = new NodeWatches({ client: this.#client, nodeName: config.nodeName, log: this.#log });
    this.#bases = new BaseImages({
      directory: join(config.home, 'bases'),
      maxBytes: config.baseMemoryMiB * MIB,
      log: this.#log,
      now: () => performance.now(),
      ...(config.memoryMode === 'Copy' ? { kinds: [] } : {}),
    });
    this.#metrics = new Metrics({
      phases: () => this.#supervisor?.machines.map(({ state }) => state.phase) ?? [],
      starts: () => this.#starts ?? { waiting: 0, underWay: 0 },
      bases: () => this.#bases.totals,
      memory: () => this.#memory,
      corrections: () => this.#watches.corrections(),
    });
  }

  /** Comes up as far as it can without the API, which it then waits for in the background. */
  async start(): Promise<void> {
    const { nodeName, home, firmwareDirectory } = this.#config;
    const firmware = {
      biosPath: join(firmwareDirectory, 'bios.bin'),
      vgaBiosPath: join(firmwareDirectory, 'vgabios.bin'),
    };
    const build = await v86Build(firmware).catch((cause: unknown) => {
      const message = `CORRAL_FIRMWARE_DIR: ${firmwareDirectory} does not hold a readable bios.bin and vgabios.bin`;
      throw new Error(message, { cause });
    });
    const { artifacts, packs, snapshotCache, spool, pool } = await openNodeHome({ config: this.#config, firmware, store: this.#store, bases: this.#bases, disposer: this.#disposer, log: this.#log });
    const { machines, snapshots, images } = this.#watches;
    const [client, store, recorder, clock, log, bases] = [this.#client, this.#store, this.#recorder, this.#clock, this.#log, this.#bases];

    // Who cannot be told of pages that are not there needs all of them first.
    const canPage = HostMemory.probe().capability.mode === 'Full';
    const forks = new ForkMoments();
    const swap = await this.#swapRedis();
    const supervisor = new Supervisor({
      home,
      pool,
      firmware,
      clock,
      log,
      v86Build: build,
      snapshots: snapshotCache,
      packs,
      bases,
      lostStateMs: this.#config.lostStateMs,
      ...swap,
      preparer: new Preparer({
        nodeName,
        forks,
        client,
        artifacts,
        snapshots: snapshotCache,
        packs,
        bases,
        remote: (manifest, workingSet) => (canPage ? remoteBaseSourceOf(manifest, { store, packs, log }, workingSet) : undefined),
        workingSet: (manifestKey, pack) => new WorkingSet(store, manifestKey, pack),
        v86Build: build,
      }),
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

    const memory = this.#openMemory(supervisor);
    const startGate = this.#startGate((key) => machineController.enqueue(key));
    const convergence = new Convergence({ nodeName, client, machines, supervisor, startGate, recorder, clock });
    const machineQueue = new LocalQueue();
    const machineController = this.#controller(
      'machines',
      CONVERGENCE_CONCURRENCY,
      (key) => convergence.reconcile(key),
      machineQueue,
    );
    const snapshotConvergence = new SnapshotConvergence({
      nodeName,
      client,
      snapshots,
      machines,
      supervisor,
      store,
      spool,
      forks,
      packs,
      isServing: () => lease.isHeld,
      recorder,
      clock,
      log,
    });
    const snapshotController = this.#controller('snapshots', SNAPSHOT_CONCURRENCY, (key, signal) =>
      snapshotConvergence.reconcile(key, signal),
    );
    const prefetch = new ImagePrefetch({
      images,
      artifacts,
      snapshots: snapshotCache,
      bases,
      packs,
      v86Build: build,
      onReady: ({ spec }, start) => pool.expect(spec?.class ?? DEFAULT_VM_CLASS, expectedRehearsal({ ...start, firmware, ...swap })),
    });
    const imageController = this.#controller('images', 1, (key) => prefetch.reconcile(key));
    machines.onChange((key) => machineController.enqueue(key));
    snapshots.onChange((key) => snapshotController.enqueue(key));
    images.onChange((key) => imageController.enqueue(key));

    const { machinesMax, reservedMemoryMiB, workersOnHost, leaseSeconds, memoryMode } = this.#config;
    const lease = new NodeLease({
      client: this.#urgentClient,
      nodeName,
      termSeconds: leaseSeconds,
      clock,
      steadyClock: systemSteadyClock,
      reclaim: () => killWhatIsLost({ client: this.#urgentClient, nodeName, supervisor, log }),
    });
    const { server: dataPlane, url: dataPlaneUrl } = await openDataPlane({
      config: this.#config, credential: this.#credential, userAgent: USER_AGENT, metrics: this.#metrics, supervisor, lease, disposer: this.#disposer, log: this.#log,
    });
    const expiry = new Expiry(
      () => lease.remainingMs,
      () => {
        log.warn(`The Lease could not be renewed for ${leaseSeconds} s: this node serves nothing until it is`);
        dataPlane.cut();
      },
    );
    this.#disposer.add(() => expiry.stop());
    const registration = new Registration({
      client: this.#urgentClient,
      nodeName,
      dataPlaneUrl,
      v86Build: build,
      machinesMax,
      reservedMemoryMiB,
      memory: HostMemory.probe({ atBest: memoryMode }).capability,
      workersOnHost,
      clock,
      machines: () => supervisor.liveCount,
      bases: () => bases.totals,
      pressure: () => memory.pressure,
      memoryUse: () => memory.use,
      images: () => prefetch.ready,
      snapshots: (limit) => snapshotCache.digests(limit),
    });
    const signs = signOfLife({ registration, lease, credential: this.#credential, log, onRenewed: () => expiry.watch() });
    const keeping = housekeeping({
      supervisor,
      watches: this.#watches,
      artifacts,
      snapshots: snapshotCache,
      uploads: snapshotConvergence,
      prefetch,
      log,
    });
    const hints = this.#hints({
      [virtualMachines.plural]: machineController,
      [virtualMachineSnapshots.plural]: snapshotController,
    });

    signs.start();
    hints?.start();
    this.#watches.start();
    void this.#watches.synced().then(() => {
      if (this.#watches.isStopped) return;
      for (const controller of [machineController, snapshotController, imageController]) controller.start();
      keeping.start();
      log.info({ machines: machines.list().length, dataPlaneUrl, v86Build: build }, 'The node agent is up');
    });

    this.#empty = () =>
      emptyNode(
        {
          ask: () => registration.empty(),
          liveCount: () => supervisor.liveCount,
          movingCount: () => machines.list().filter(({ status }) => status?.move !== undefined).length,
        },
        this.#config.moveSeconds * 1000,
      );
    this.#depart = () =>
      depart({
        suspend() {
          convergence.nodeStopping = true;
          for (const { key } of supervisor.machines) machineController.enqueue(key);
        },
        areSuspended: () => supervisor.liveCount === 0,
        announce: () => registration.leave(),
        sideWork: [keeping, snapshotController, imageController, ...(hints ? [hints] : [])].map(
          (work) => () => work.stop(),
        ),
        isReported: () => machineQueue.length === 0,
        async farewell() {
          await Promise.all([machineController.stop(), recorder.flushed()]);
          await signs.stop();
        },
      });
  }

  /** Has machines moved where that is asked for, suspends what runs, says goodbye to the API where it answers, and ends every process. */
  async stop(): Promise<void> {
    this.#log.info('The node agent stops');
    if (this.#config.onStop === 'move') await this.#empty?.();
    await this.#depart?.();
    await within(CLOSE_MS, Promise.all([this.#watches.stop(), this.#disposer.dispose()]));
    this.#log.info('The node agent has stopped');
  }

  /** Where machines swap to, as their processes reach it. */
  async #swapRedis(): Promise<{ readonly swapRedisUrl?: string }> {
    const { swapRedisUrl: url, home } = this.#config;
    if (url === undefined) return {};
    if (!SwapTunnel.isNeededFor(url)) return { swapRedisUrl: url };
    const tunnel = await SwapTunnel.open(url, join(home, 'swap.sock'));
    this.#disposer.add(() => tunnel.close());
    return { swapRedisUrl: tunnel.url };
  }

  /** Divides memory among machines from now on. */
  #openMemory(supervisor: Supervisor): NodeMemory {
    const { swapRedisUrl, nodeName, memoryBudgetMiB, reservedMemoryMiB, workersOnHost } = this.#config;
    const log = this.#log;
    const keys = swapRedisUrl === undefined ? undefined : new SwapKeys({ url: swapRedisUrl, nodeName, log });
    const memory = new NodeMemory({
      machines: () => supervisor.machines,
      vmOf: (uid) => this.#watches.machines.getByUid(uid),
      budgetBytes: memoryBudgetMiB === undefined ? allocatableMemoryBytes({ reservedMemoryMiB, workersOnHost }) : memoryBudgetMiB * MIB,
      keys,
      log,
    });
    this.#memory = memory;
    const looking = new Repetition({ name: 'Looking after memory', everyMs: MEMORY_LOOK_MS, log, work: () => memory.look() });
    void keys?.sweep();
    looking.start();
    this.#disposer.add(() => keys?.close());
    this.#disposer.add(() => looking.stop());
    return memory;
  }

  #startGate(onTurn: (key: ObjectKey) => void): StartGate {
    const gate = new StartGate({
      limit: Math.max(MIN_STARTS, availableParallelism()),
      onTurn,
      onAdmitted: (waitedMs) => this.#metrics.observeStartWait(waitedMs),
      nowMs: () => performance.now(),
      after: (milliseconds, call) => {
        const timer = setTimeout(call, milliseconds).unref();
        return () => clearTimeout(timer);
      },
    });
    this.#starts = gate;
    return gate;
  }

  #hints(controllers: Readonly<Record<string, Controller>>): Hints | undefined {
    const { redisUrl, nodeName } = this.#config;
    if (redisUrl === undefined) return undefined;
    return new Hints({
      redisUrl,
      nodeName,
      log: this.#log,
      onHint: ({ resource, namespace, name }) => controllers[resource]?.enqueue({ namespace, name }),
    });
  }

  #controller(
    name: string,
    concurrency: number,
    reconcile: ConstructorParameters<typeof Controller>[0]['reconcile'],
    queue = new LocalQueue(),
  ): Controller {
    return new Controller({
      name,
      queue,
      concurrency,
      reconcile,
      backoff: { baseMs: 200, maxMs: 15_000 },
      onError: (key, error) => {
        this.#metrics.countFailure(name);
        const context = { err: error, controller: name, object: `${key.namespace}/${key.name}` };
        this.#log.warn(context, 'Reconciling failed; it is tried again');
      },
    });
  }
}
