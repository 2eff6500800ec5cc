import { rm } from 'node:fs/promises';
import { type Clock } from '@corral/base';
import {
  DEFAULT_VM_CLASS,
  type MachineConfig,
  type ObjectKey,
  SNAPSHOT_DEADLINE_MS,
  type SnapshotTaken,
  type StartFrom,
  type VirtualMachine,
  type VmLineage,
  type VmMemoryStatus,
  type VmProcessFailure,
  type VmProcessOutput,
} from '@corral/contracts';
import {
  ABSENT,
  accepts,
  failuresAfter,
  type HibernationRefusal,
  isLive,
  type MachineEvent,
  type MachineState,
  type ProcessExit,
  type Run,
  START_DEADLINE_MS,
  type StartOrigin,
  STOP_MARGIN_MS,
  transition,
} from '@corral/vm-lifecycle';
import { SnapshotError } from '@corral/memory';
import { type Logger } from 'pino';
import { type BaseImages, type HeldBase } from '../bases/base-images.ts';
import { macAddressOf, machineConfigOf } from './machine-config.ts';
import { imagePartsOf, type MachineFolder } from './machine-folder.ts';
import { endNotice, type MachineNotice, notice, startNotice, warning } from './machine-notice.ts';
import { layerKeys, type SnapshotManifest } from '@corral/memory';
import { keepTaken } from '../snapshots/taken-snapshot.ts';
import { type PackCache } from './pack-cache.ts';
import { type Preparation, type Preparer, Unpreparable } from './preparation.ts';
import { type ProcessPool } from './process-pool.ts';
import { type SnapshotCache } from './snapshot-cache.ts';
import { rehearsalOf } from './rehearsal.ts';
import { type VmProcessHandle, VmProcessRefusal } from './vm-process.handle.ts';

/** What every machine of a node shares. */
export interface MachineSurroundings {
  readonly pool: ProcessPool;
  readonly preparer: Pick<Preparer, 'prepare'>;
  readonly snapshots: Pick<SnapshotCache, 'discard'>;
  readonly bases: Pick<BaseImages, 'hold'>;
  readonly packs: PackCache;
  readonly firmware: MachineConfig['firmware'];
  readonly v86Build: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** The Redis that cold pages go to; undefined: they go to the node's disk alone. */
  readonly swapRedisUrl?: string;
  /** A path for the next socket, short enough for sockaddr_un. */
  nextSocketPath(): string;
  /** Something changed: plan again. */
  onChange(key: ObjectKey): void;
  onNotice(uid: string, notice: MachineNotice): void;
  /** An incarnation is Ready for the first time. */
  onReady(from: Run['startedFrom']['type'], startMilliseconds: number): void;
}

/** Where the data plane of a running incarnation is served. */
export interface MachineEndpoint {
  readonly incarnation: number;
  readonly socketPath: string;
}

const REQUEST_DEADLINE_MS = 10_000;
/** A guest that answers needs milliseconds. */
const IDENTIFY_DEADLINE_MS = 5_000;
/** To stand still, and then to be written. */
const SUSPEND_PAUSE_DEADLINE_MS = 2_000;
const SUSPEND_DEADLINE_MS = 13_000;
const HIBERNATE_DEADLINE_MS = 60_000;
const PREPARATION_RETRY = { baseMs: 1_000, maxMs: 15_000 };
/** What speaks against a snapshot's bytes for good. */
const USELESS_SNAPSHOT: ReadonlySet<VmProcessFailure> = new Set(['SnapshotCorrupt', 'SnapshotIncompatible']);
/** What speaks against keeping a copy of them, which can be fetched anew. */
const BAD_COPY: ReadonlySet<VmProcessFailure> = new Set([...USELESS_SNAPSHOT, 'SnapshotUnreadable']);
/** A guest that restarts again and again is told of once in a while. */
const REBOOT_NOTICE_INTERVAL_MS = 60_000;

/** One VM on this node: its state, and the effects that move it. Decides nothing. */
export class Machine {
  readonly #around: MachineSurroundings;
  #identity: { readonly uid: string; readonly key: ObjectKey };
  #folder: MachineFolder;
  #log: Logger;
  #state: MachineState = ABSENT;
  #failures = 0;
  #preparationFailures = 0;
  #preparation: Preparation | undefined;
  #process: VmProcessHandle | undefined;
  /** Held from before its process maps it until that has ended. */
  #base: HeldBase | undefined;
  #endpoint: MachineEndpoint | undefined;
  #ended: ProcessExit['ended'];
  #failure: ProcessExit['failure'];
  #rebootToldAt = 0;
  #isKilled = false;
  #lineage: SnapshotManifest | undefined;
  #stored: StoredSnapshot = {};
  suspended = false;
  /** Since when nobody uses the guest, as its process tells. */
  idleSince: Date | undefined;
  hibernationRefusal: HibernationRefusal | undefined;
  diskWritten = false;
  residentBytes: number | undefined;
  /** Where its RAM is, as it said last. */
  memory: VmMemoryStatus | undefined;
  #memoryBudgetBytes: number | undefined;

  constructor(
    identity: { readonly uid: string; readonly key: ObjectKey },
    folder: MachineFolder,
    around: MachineSurroundings,
  ) {
    this.#identity = identity;
    this.#folder = folder;
    this.#around = around;
    this.#log = logOf(identity, around);
  }

  get uid(): string {
    return this.#identity.uid;
  }

  get key(): ObjectKey {
    return this.#identity.key;
  }

  get folder(): MachineFolder {
    return this.#folder;
  }

  get state(): MachineState {
    return this.#state;
  }

  /** Of its VM process, while there is one. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** The snapshot that its next one builds on: what it started from, or the last that was taken of it. */
  get lineage(): SnapshotManifest | undefined {
    return this.#lineage;
  }

  /** The same, as the API is told of it; of what was prepared, before that has started. */
  get toldLineage(): VmLineage | undefined {
    const manifest = this.#preparation ? this.#preparation.manifest : this.#lineage;
    const stored = this.#preparation ? storedOf(this.#preparation, this.#stored) : this.#stored;
    return manifest && { ...stored, layers: layerKeys(manifest) };
  }

  /** Of this namespace, the snapshot that this incarnation started from, or its last one that is in the object store. */
  get lastSnapshotName(): string | undefined {
    return this.#stored.snapshot;
  }

  /** A snapshot of an incarnation is in the object store, whole. */
  noteStored(incarnation: number, stored: Required<StoredSnapshot>): void {
    if (!isLive(this.#state) || this.#state.run.incarnation !== incarnation) return;
    this.#stored = stored;
    this.#around.onChange(this.key);
  }

  get failures(): number {
    return this.#failures;
  }

  /** What the next start was prepared to begin with; undefined unless Prepared. */
  get preparation(): Preparation | undefined {
    return this.#preparation;
  }

  /** None while it is suspended or hibernates: nothing may be answered that the state written out does not hold. */
  get endpoint(): MachineEndpoint | undefined {
    const { phase } = this.#state;
    return isLive(this.#state) && phase !== 'Suspending' && phase !== 'Hibernating' ? this.#endpoint : undefined;
  }

  /** Reads what an earlier node agent left in the folder. */
  async load(): Promise<void> {
    await this.folder.settleDisk();
    [this.suspended, this.diskWritten] = await Promise.all([this.folder.hasSuspended(), this.folder.hasWrittenDisk()]);
  }

  prepare(vm: VirtualMachine, origin: StartOrigin): void {
    this.#apply({ type: 'PrepareRequested', at: this.#around.clock.now() });
    const since = this.#state;
    void this.#around.preparer.prepare(vm, origin, this.folder).then(
      (preparation) => {
        // Stopped meanwhile: what was fetched stays in the caches, and nothing else remains.
        if (this.#state !== since) return;
        this.#preparation = preparation;
        this.#preparationFailures = 0;
        const { record, startedFrom } = preparation;
        this.#apply({
          type: 'PreparationSucceeded',
          origin,
          startedFrom,
          memoryMiB: record.memoryMiB,
          v86Build: this.#around.v86Build,
          class: vm.spec?.class ?? record.class ?? DEFAULT_VM_CLASS,
          imageParts: imagePartsOf(record),
        });
      },
      (error: unknown) => {
        if (this.#state !== since) return;
        const { reason, message, permanent, cause } =
          error instanceof Unpreparable ? error : new Unpreparable('PreparationFailed', String(error));
        this.#log.warn({ reason, err: cause }, message);
        this.#preparationFailures += 1;
        const delayMs = Math.min(
          PREPARATION_RETRY.maxMs,
          PREPARATION_RETRY.baseMs * 2 ** Math.min(10, this.#preparationFailures - 1),
        );
        this.#apply({
          type: 'PreparationFailed',
          reason,
          message,
          permanent,
          retryAt: new Date(this.#around.clock.now().getTime() + delayMs),
        });
      },
    );
  }

  /** Starts a process for an incarnation that the API has already been told of. */
  start(vm: VirtualMachine, run: Run): void {
    const preparation = this.#preparation;
    if (!preparation) throw new Error('A start needs a preparation');
    this.#preparation = undefined;
    this.#lineage = preparation.manifest;
    this.#stored = storedOf(preparation, vm.status?.lineage ?? {});
    this.#ended = undefined;
    this.#failure = undefined;
    this.residentBytes = undefined;
    this.idleSince = undefined;
    this.memory = undefined;
    this.#apply({ type: 'StartRequested', run, at: this.#around.clock.now() });
    void this.#launch(vm, run, preparation);
  }

  async pause(): Promise<void> {
    await this.#process?.request({ type: 'Pause' }, REQUEST_DEADLINE_MS);
    this.#applyIfAccepted({ type: 'PauseCompleted' });
  }

  async resume(): Promise<void> {
    await this.#process?.request({ type: 'Resume' }, REQUEST_DEADLINE_MS);
    this.#applyIfAccepted({ type: 'ResumeCompleted' });
  }

  stop(graceMs: number): void {
    this.#preparation = undefined;
    this.#apply({ type: 'StopRequested', graceMs, at: this.#around.clock.now() });
    // Whether it obeys is seen by its end; the plan kills what outstays its deadline.
    this.#process
      ?.request({ type: 'Stop', graceMs }, graceMs + STOP_MARGIN_MS)
      .catch((error: unknown) => this.#log.debug({ err: error }, 'Stop was not answered'));
  }

  kill(): void {
    this.#isKilled = this.#process !== undefined;
    this.#process?.kill();
  }

  /**
   * Goes on as another machine: a warm one of a pool that was claimed. Resolves when its guest knows who it is now, or does not
   * answer for the moment; it is told as soon as it does.
   */
  async become(identity: { readonly uid: string; readonly key: ObjectKey }, folder: MachineFolder): Promise<void> {
    const from = this.key.name;
    this.#identity = identity;
    this.#log = logOf(identity, this.#around);
    await this.#folder.become(folder);
    this.#folder = folder;
    if (!isLive(this.#state)) return;
    this.#notice(notice('Claimed', `Took over the warm machine ${from}`));
    const told = { uid: identity.uid, hostname: identity.key.name, macAddress: macAddressOf(identity.uid), directory: folder.path };
    try {
      await this.#process?.request({ type: 'Identify', identity: told }, IDENTIFY_DEADLINE_MS);
    } catch (error) {
      this.#log.warn({ err: error }, 'The guest has not heard yet who it is now');
      this.#applyIfAccepted({ type: 'AgentSilent' });
    }
  }

  /** Keeps the machine's state in its folder and ends its process. What cannot be kept is started anew later. */
  suspend(): void {
    this.#apply({ type: 'SuspendRequested', at: this.#around.clock.now() });
    const process = this.#process;
    void (async () => {
      try {
        // First of all: what the guest did after its state was copied would be undone.
        await process?.request({ type: 'Pause' }, SUSPEND_PAUSE_DEADLINE_MS);
        const directory = await this.folder.beginSuspended();
        const taken = await process?.request({ type: 'Snapshot', directory }, SUSPEND_DEADLINE_MS);
        if (taken) this.#lineage = await keepTaken(directory, taken, this.key.namespace ?? '', this.#around.packs);
        await this.folder.commitSuspended(taken);
        this.suspended = true;
        this.#notice(notice('Suspended', 'Suspended to the node’s disk because the node agent stops'));
      } catch (error) {
        this.#log.error({ err: error }, 'The machine could not be suspended; it will start anew');
      } finally {
        process?.kill();
      }
    })();
  }

  /** Writes the machine out whole and ends its process; what cannot be kept runs on. */
  hibernate(requestedAt: string, ifIdle: boolean): void {
    this.#apply({ type: 'HibernateRequested', at: this.#around.clock.now() });
    const process = this.#process;
    void (async () => {
      try {
        const [directory, screenDirectory] = await Promise.all([this.folder.beginSuspended(), this.folder.beginScreen()]);
        const taken = await process?.request({ type: 'Hibernate', directory, screenDirectory, ifIdle }, HIBERNATE_DEADLINE_MS);
        if (taken) this.#lineage = await keepTaken(directory, taken, this.key.namespace ?? '', this.#around.packs);
        // Stopped meanwhile: its memory is of no use any more.
        if (this.#state.phase !== 'Hibernating') return;
        await this.folder.commitSuspended(taken);
        this.suspended = true;
        this.#applyIfAccepted({ type: 'HibernateCompleted' });
        process?.kill();
      } catch (error) {
        await this.#refuseHibernation(requestedAt, error);
      }
    })();
  }

  async #refuseHibernation(requestedAt: string, error: unknown): Promise<void> {
    const isBusy = error instanceof VmProcessRefusal && error.reason === 'Busy';
    const message = error instanceof VmProcessRefusal ? `${error.reason}: ${error.message}` : 'Its memory could not be written to the node’s disk';
    this.hibernationRefusal = { requestedAt, reason: isBusy ? 'Busy' : 'Failed', message, at: this.#around.clock.now() };
    // It may have ended by itself: then there is nobody to go on.
    if (this.#state.phase !== 'Hibernating') return;
    try {
      if (!isBusy) {
        this.#log.error({ err: error }, 'The machine could not hibernate; it runs on');
        this.#notice(warning('HibernationFailed', message));
        await this.#process?.request({ type: 'Resume' }, REQUEST_DEADLINE_MS);
      }
      this.#applyIfAccepted({ type: 'HibernateFailed' });
    } catch (cause) {
      this.#log.error({ err: cause }, 'The machine stands still; it is ended');
      this.#process?.kill();
    }
  }

  async discardSuspended(): Promise<void> {
    await this.folder.discardSuspended();
    this.suspended = false;
  }

  /**
   * Writes a snapshot of this incarnation, or of what is left of it while it sleeps, into an existing, empty folder. Throws VmProcessRefusal, or Error when the
   * machine ends meanwhile, or PackForged where its process did not write what it says.
   */
  async snapshot(directory: string, incarnation: number): Promise<{ readonly taken: SnapshotTaken; readonly manifest: SnapshotManifest }> {
    if (this.suspended && !isLive(this.#state)) {
      const kept = await this.folder.copySuspended(directory);
      if (kept) return kept;
    }
    const isMeant = isLive(this.#state) && this.#state.run.incarnation === incarnation;
    const taken = isMeant && (await this.#process?.request({ type: 'Snapshot', directory }, SNAPSHOT_DEADLINE_MS));
    if (!taken) throw new VmProcessRefusal('NotStarted', `Incarnation ${incarnation} of the machine has no process`);
    const manifest = await keepTaken(directory, taken, this.key.namespace ?? '', this.#around.packs);
    this.#lineage = manifest;
    return { taken, manifest };
  }

  /** What its RAM may take of the node's memory, as its process was told; undefined: as much as it likes. */
  get memoryBudgetBytes(): number | undefined {
    return this.#memoryBudgetBytes;
  }

  setMemoryBudget(bytes: number | undefined): void {
    this.#memoryBudgetBytes = bytes;
    this.#process
      ?.request({ type: 'SetMemoryBudget', budgetBytes: bytes ?? null }, REQUEST_DEADLINE_MS)
      .catch((error: unknown) => this.#log.debug({ err: error }, 'The memory budget was not taken'));
  }

  /** Ends a process that cannot end itself any more; the machine is started again like after any end that nobody asked for. */
  killStuck(): void {
    this.#process?.kill();
  }

  /** Looks how much memory the process holds. */
  async sample(): Promise<void> {
    this.residentBytes = (await this.#process?.residentBytes()) ?? this.residentBytes;
  }

  async #launch(vm: VirtualMachine, run: Run, preparation: Preparation): Promise<void> {
    const isCurrent = (): boolean => this.#state.phase === 'Starting' && this.#state.run === run;
    try {
      await this.folder.writeRecord(preparation.record);
      this.#base = preparation.base && (await this.#around.bases.hold(preparation.base, { mayBePartial: true }));
      this.#base?.onLost((error) => this.#loseBase(error));
      const place = { firmware: this.#around.firmware, directory: this.folder.path, socketPath: this.#around.nextSocketPath(), ...swapOf(this.#around) };
      const config = machineConfigOf(vm, run, preparation, place);
      this.#memoryBudgetBytes = config.memoryBudgetBytes;
      const from = withBase(preparation.from, this.#base);
      const rehearsal = rehearsalOf(config, { from, startedFrom: preparation.startedFrom });
      const process = await this.#around.pool.take(run.class ?? DEFAULT_VM_CLASS, rehearsal);
      if (!isCurrent()) {
        process.kill();
        return this.#exited({});
      }
      this.#process = process;
      process.log.writeTo(this.folder.logPath);
      this.#log.info(
        { incarnation: run.incarnation, pid: process.pid, from: preparation.startedFrom.type },
        'Starting',
      );
      process.listen({
        onEvent: (event) => this.#hear(event),
        onExit: (exit) => void this.#onExit(process, config.socketPath, exit),
      });
      await process.request({ type: 'Start', config, from }, START_DEADLINE_MS);
      this.#endpoint = { incarnation: run.incarnation, socketPath: config.socketPath };
      if (this.suspended) {
        await this.discardSuspended();
        if (preparation.origin === 'Source')
          this.#notice(warning('SuspendedStateDiscarded', 'It was suspended by another version and starts anew'));
      }
      this.#notice(startNotice(preparation.startedFrom));
      this.#applyIfAccepted({ type: 'Started', at: this.#around.clock.now() });
    } catch (error) {
      await this.#refuseStart(preparation, error);
    }
  }

  /** Part of the RAM it was promised does not come: it must not run on. */
  #loseBase(error: unknown): void {
    this.#log.error({ err: error }, 'The base of a machine could not be fetched');
    this.#ended ??= { reason: 'BaseLost', message: `The memory it was started from could not be fetched: ${(error as Error).message}`.slice(0, 1024) };
    this.#process?.kill();
  }

  async #refuseStart(preparation: Preparation, error: unknown): Promise<void> {
    const failure = error instanceof VmProcessRefusal || error instanceof SnapshotError ? { reason: error.reason, message: error.message } : undefined;
    this.#log.error({ err: error, output: this.#process?.log.tail }, 'The machine did not start');
    if (failure) await this.#distrust(preparation, failure);
    this.#failure ??= failure ?? { reason: 'Internal', message: (error as Error).message };
    if (this.#process) this.#process.kill();
    else this.#exited({});
  }

  /** There is one suspended state, so only what can never be resumed is given up; a cached snapshot is fetched anew. */
  async #distrust(
    { origin, startedFrom }: Preparation,
    { reason, message }: { readonly reason: VmProcessFailure; readonly message: string },
  ): Promise<void> {
    if (origin !== 'Suspended') {
      if (startedFrom.digest !== undefined && BAD_COPY.has(reason)) await this.#around.snapshots.discard(startedFrom.digest);
    } else if (USELESS_SNAPSHOT.has(reason)) {
      await this.discardSuspended();
      this.#notice(warning('SuspendedStateDiscarded', `It cannot be resumed and starts anew: ${reason}: ${message}`));
    }
  }

  #hear(event: Exclude<VmProcessOutput, { type: 'Reply' | 'Waiting' }>): void {
    const at = this.#around.clock.now();
    switch (event.type) {
      case 'AgentAnswered':
        return this.#applyIfAccepted({ type: 'AgentAnswered', at });
      case 'Idle':
        this.idleSince = new Date(at.getTime() - event.forMs);
        return this.#around.onChange(this.key);
      case 'Active':
        this.idleSince = undefined;
        return this.#around.onChange(this.key);
      case 'AgentSilent':
        return this.#applyIfAccepted({ type: 'AgentSilent' });
      case 'GuestPanicked':
        this.#notice(warning('GuestPanicked', event.message));
        this.#applyIfAccepted({ type: 'GuestPanicked', message: event.message.slice(0, 1024), at });
        // Nothing but its screen matters any more, and a panicked kernel spins.
        this.#process
          ?.request({ type: 'Pause' }, REQUEST_DEADLINE_MS)
          .catch((error: unknown) => this.#log.debug({ err: error }, 'The panicked machine could not be paused'));
        return;
      case 'GuestRebooted':
        if (at.getTime() - this.#rebootToldAt < REBOOT_NOTICE_INTERVAL_MS) return;
        this.#rebootToldAt = at.getTime();
        return this.#notice(notice('GuestRebooted', 'The guest rebooted'));
      case 'Memory':
        this.memory = event.memory;
        return this.#around.onChange(this.key);
      case 'Ended':
        this.#ended = { reason: event.reason, message: event.message.slice(0, 1024) };
        return;
    }
  }

  async #onExit(
    process: VmProcessHandle,
    socketPath: string,
    exit: { readonly exitCode?: number; readonly signal?: string },
  ): Promise<void> {
    if (process !== this.#process) return;
    const wasAsked =
      this.#isKilled || this.#state.phase === 'Hibernating' || this.#state.phase === 'Stopping' || this.#state.phase === 'Suspending' || this.#state.phase === 'Panicked';
    if (!wasAsked && !this.#ended)
      this.#log.error({ ...exit, output: process.log.tail }, 'A VM process ended by itself');
    this.#process = undefined;
    this.#endpoint = undefined;
    this.idleSince = undefined;
    await rm(socketPath, { force: true }).catch(() => undefined);
    await this.folder.settleDisk();
    this.diskWritten = await this.folder.hasWrittenDisk();
    this.#exited(exit);
  }

  #exited(exit: { readonly exitCode?: number; readonly signal?: string }): void {
    this.#base?.release();
    this.#base = undefined;
    const before = this.#state;
    if (!isLive(before)) return;
    const now = this.#around.clock.now();
    this.#failures = failuresAfter(this.#failures, now.getTime() - before.run.startedAt.getTime());
    this.#apply({
      type: 'Exited',
      at: now,
      ...exit,
      ...(this.#ended ? { ended: this.#ended } : {}),
      ...(this.#failure ? { failure: this.#failure } : {}),
    });
    const wasKilled = this.#isKilled;
    this.#isKilled = false;
    if (this.#state.phase !== 'Ended' || before.phase === 'Panicked' || before.phase === 'Suspending') return;
    // What runs is killed only when it was given away: its next life tells of itself.
    if (wasKilled && (before.phase === 'Running' || before.phase === 'Paused')) return;
    const { termination } = this.#state;
    // Ended by its user, or asleep: nothing failed, and the next start owes no wait.
    if (termination.reason === 'Stopped' || termination.reason === 'Hibernated') this.#failures = 0;
    this.#notice(endNotice(termination));
  }

  #notice(what: MachineNotice): void {
    this.#around.onNotice(this.uid, what);
  }

  #applyIfAccepted(event: MachineEvent): void {
    if (accepts(this.#state, event.type)) this.#apply(event);
  }

  #apply(event: MachineEvent): void {
    const before = this.#state;
    this.#state = transition(before, event);
    if (this.#state === before) return;
    this.#log.info({ event: event.type, from: before.phase, to: this.#state.phase }, 'Machine');
    const [startedMs, startedBeforeMs] = [startMillisecondsOf(this.#state), startMillisecondsOf(before)];
    if (startedMs !== undefined && startedBeforeMs === undefined && isLive(this.#state)) {
      this.#around.onReady(this.#state.run.startedFrom.type, startedMs);
      if (this.pid !== undefined) this.#base?.begins(this.pid);
    }
    this.#around.onChange(this.key);
  }
}

const logOf = ({ uid, key }: { readonly uid: string; readonly key: ObjectKey }, { log }: MachineSurroundings): Logger =>
  log.child({ vm: uid, name: `${key.namespace}/${key.name}` });

const withBase = (from: StartFrom, held: HeldBase | undefined): StartFrom =>
  from.type === 'Snapshot' && held ? { ...from, base: held.base } : from;

/** Where a snapshot of a machine can be found by others. */
interface StoredSnapshot {
  readonly snapshot?: string;
  readonly digest?: string;
}

/** A suspended machine goes on from what lies here; what it last had in the object store is what it was told of `before`. */
function storedOf({ startedFrom: { type, name, digest } }: Preparation, before: VmLineage | StoredSnapshot): StoredSnapshot {
  switch (type) {
    case 'Snapshot':
      return { snapshot: name, ...(digest === undefined ? {} : { digest }) };
    case 'Suspended':
      return { ...(before.snapshot === undefined ? {} : { snapshot: before.snapshot }), ...(before.digest === undefined ? {} : { digest: before.digest }) };
    case 'GoldenSnapshot':
      return digest === undefined ? {} : { digest };
    // The moment of a fork is seldom stored, and never for long.
    case 'Fork':
    case 'Boot':
      return {};
  }
}

const startMillisecondsOf = (state: MachineState): number | undefined =>
  'guest' in state ? state.guest.startMilliseconds : undefined;

const swapOf = ({ swapRedisUrl }: Pick<MachineSurroundings, 'swapRedisUrl'>): Pick<MachineConfig, 'swapRedisUrl'> => (swapRedisUrl === undefined ? {} : { swapRedisUrl });
