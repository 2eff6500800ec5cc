import {
  type MachineConfig,
  type ObjectKey,
  type VirtualMachine,
  type VmLineage,
  type VmMemoryStatus,
  type VmPageWaits,
  type VmProcessFailure,
} from '@corral/contracts';
import {
  ABSENT,
  accepts,
  failuresAfter,
  type HibernationRefusal,
  isLive,
  type MachineEvent,
  type MachineState,
  type Run,
  type StartOrigin,
  STOP_MARGIN_MS,
  transition,
} from '@corral/vm-lifecycle';
import { SnapshotError } from '@corral/memory';
import { type Logger } from 'pino';
import { macAddressOf, machineConfigOf } from './machine-config.ts';
import { type MachineFolder } from './machine-folder.ts';
import { endNotice, type MachineNotice, notice, startNotice, warning } from './machine-notice.ts';
import { type Exit, type LifeEvent, type LifeOwner, MachineLife } from './machine.life.ts';
import { type LayeredManifest, MachineLineage, type StoredSnapshot } from './machine.lineage.ts';
import { MachineMoments, type MomentsOwner } from './machine.moments.ts';
import { MachinePreparing } from './machine.preparing.ts';
import { MachineSleep, type SleepOwner } from './machine.sleep.ts';
import { type MachineEndpoint, type MachineSurroundings } from './machine.surroundings.ts';
import { type Preparation } from './preparation.ts';
import { type VmProcessHandle, VmProcessRefusal } from './vm-process.handle.ts';

const REQUEST_DEADLINE_MS = 10_000;
/** A guest that answers needs milliseconds. */
const IDENTIFY_DEADLINE_MS = 5_000;
/** What speaks against a snapshot's bytes for good. */
const USELESS_SNAPSHOT: ReadonlySet<VmProcessFailure> = new Set(['SnapshotCorrupt', 'SnapshotIncompatible']);
/** What speaks against keeping a copy of them, which can be fetched anew. */
const BAD_COPY: ReadonlySet<VmProcessFailure> = new Set([...USELESS_SNAPSHOT, 'SnapshotUnreadable']);
/** A guest that restarts again and again is told of once in a while. */
const REBOOT_NOTICE_INTERVAL_MS = 60_000;

/** One VM on this node: its state, and the effects that move it. Decides nothing. */
export class Machine {
  readonly #around: MachineSurroundings;
  #swapName: Pick<MachineConfig, 'uid' | 'incarnation'> | undefined;
  #identity: { readonly uid: string; readonly key: ObjectKey };
  #folder: MachineFolder;
  #log: Logger;
  #state: MachineState = ABSENT;
  #failures = 0;
  readonly #preparing: MachinePreparing;
  #preparation: Preparation | undefined;
  /** The latest; what it said last is told until the next begins. */
  #life: MachineLife | undefined;
  #rebootToldAt = 0;
  readonly #lineage = new MachineLineage();
  readonly #owner: LifeOwner & SleepOwner & MomentsOwner;
  readonly #sleep: MachineSleep;
  /** What it was at one moment, for others. */
  readonly moments: MachineMoments;
  diskWritten = false;
  #memoryBudgetBytes: number | undefined;
  #isBecoming = false;

  constructor(
    identity: { readonly uid: string; readonly key: ObjectKey },
    folder: MachineFolder,
    around: MachineSurroundings,
  ) {
    this.#identity = identity;
    this.#folder = folder;
    this.#around = around;
    this.#preparing = new MachinePreparing(around);
    this.#owner = this.#asOwner();
    this.#sleep = new MachineSleep(this.#owner, this.#lineage, around);
    this.moments = new MachineMoments(this.#owner, this.#lineage, around.packs);
    this.#log = logOf(identity, around);
  }

  /** What its process calls it in the swap Redis: who it was when that started. Undefined before. */
  get swapName(): Pick<MachineConfig, 'uid' | 'incarnation'> | undefined {
    return this.#swapName;
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

  /** Since when nobody uses the guest, as its process tells. */
  get idleSince(): Date | undefined {
    return this.#life?.idleSince;
  }

  get residentBytes(): number | undefined {
    return this.#life?.residentBytes;
  }

  /** Where its RAM is, as it said last. */
  get memory(): VmMemoryStatus | undefined {
    return this.#life?.memory;
  }

  /** How often its guest waited for pages since its process started, as it told last. */
  get pageWaits(): VmPageWaits | undefined {
    return this.#life?.pageWaits;
  }

  /** The snapshot that its next one builds on. */
  get lineage(): LayeredManifest | undefined {
    return this.#lineage.manifest;
  }

  /** The same, as the API is told of it; of what was prepared, before that has started. */
  get toldLineage(): VmLineage | undefined {
    return this.#lineage.told(this.#preparation);
  }

  /** Of this namespace, the snapshot that this incarnation started from, or its last one that is in the object store. */
  get lastSnapshotName(): string | undefined {
    return this.#lineage.storedName;
  }

  /** A snapshot of an incarnation is in the object store, whole. */
  noteStored(incarnation: number, stored: Required<StoredSnapshot>): void {
    if (!isLive(this.#state) || this.#state.run.incarnation !== incarnation) return;
    this.#lineage.isStored(stored);
    this.#around.onChange(this.key);
  }

  get failures(): number {
    return this.#failures;
  }

  /** What the next start was prepared to begin with; undefined unless Prepared. */
  get preparation(): Preparation | undefined {
    return this.#preparation;
  }

  /**
   * None while it is suspended or hibernates: nothing may be answered that the state written out does not hold. Nor while it becomes another: its guest
   * still goes by who it was.
   */
  get endpoint(): MachineEndpoint | undefined {
    const { phase } = this.#state;
    return isLive(this.#state) && phase !== 'Suspending' && phase !== 'Hibernating' && !this.#isBecoming ? this.#life?.endpoint : undefined;
  }

  get #process(): VmProcessHandle | undefined {
    return this.#life?.process;
  }

  /** Reads what an earlier node agent left in the folder. */
  async load(): Promise<void> {
    await this.folder.settleDisk();
    [this.#sleep.isKept, this.diskWritten] = await Promise.all([this.folder.hasSuspended(), this.folder.hasWrittenDisk()]);
  }

  prepare(vm: VirtualMachine, origin: StartOrigin): void {
    this.#apply({ type: 'PrepareRequested', at: this.#around.clock.now() });
    const since = this.#state;
    void this.#preparing.try(vm, origin, this.folder).then((prepared) => {
      // Stopped meanwhile: what was fetched stays in the caches, and nothing else remains.
      if (this.#state !== since) return;
      this.#preparing.settle(prepared);
      this.#preparation = prepared.preparation;
      const { event } = prepared;
      if (event.type === 'PreparationFailed') this.#log.warn({ reason: event.reason, err: 'cause' in prepared ? prepared.cause : undefined }, event.message);
      if (event.type === 'StateLost') return void this.#giveUp(event, since);
      this.#apply(event);
    });
  }

  /** Nobody has what it was to go on from: that is now its last snapshot that is whole, which the control plane names. */
  async #giveUp(event: Extract<MachineEvent, { type: 'StateLost' }>, since: MachineState): Promise<void> {
    await this.discardSuspended();
    this.#notice(warning(event.lost.reason, event.message));
    if (this.#state === since) this.#apply(event);
  }

  /** Starts a process for an incarnation that the API has already been told of. */
  start(vm: VirtualMachine, run: Run): void {
    const preparation = this.#preparation;
    if (!preparation) throw new Error('A start needs a preparation');
    this.#preparation = undefined;
    this.#lineage.begin(preparation, vm.status?.lineage ?? {});
    const life = new MachineLife(run, preparation.moment, this.#around, this.#owner);
    this.#life = life;
    this.#apply({ type: 'StartRequested', run, at: this.#around.clock.now() });
    void this.#launch(vm, life, preparation);
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
    this.#life?.kill();
  }

  /**
   * Goes on as another machine: a warm one of a pool that was claimed. Resolves when its guest knows who it is now, or does not
   * answer for the moment; it is told as soon as it does.
   */
  async become(identity: { readonly uid: string; readonly key: ObjectKey }, folder: MachineFolder): Promise<void> {
    this.#isBecoming = true;
    try {
      await this.#become(identity, folder);
    } finally {
      this.#isBecoming = false;
    }
  }

  async #become(identity: { readonly uid: string; readonly key: ObjectKey }, folder: MachineFolder): Promise<void> {
    const from = this.key.name;
    await this.#folder.become(folder);
    this.#folder = folder;
    this.#identity = identity;
    this.#log = logOf(identity, this.#around);
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
    void this.#sleep.suspend();
  }

  /** Writes the machine out whole and ends its process; what cannot be kept runs on. */
  hibernate(requestedAt: string, ifIdle: boolean): void {
    this.#apply({ type: 'HibernateRequested', at: this.#around.clock.now() });
    void this.#sleep.hibernate(requestedAt, ifIdle);
  }

  /** A whole state lies in its folder, to go on from. */
  get suspended(): boolean {
    return this.#sleep.isKept;
  }

  get hibernationRefusal(): HibernationRefusal | undefined {
    return this.#sleep.refusal;
  }

  discardSuspended(): Promise<void> {
    return this.#sleep.discard();
  }

  /** What its RAM may take of the node's memory, as its process was told; undefined: as much as it likes. */
  get memoryBudgetBytes(): number | undefined {
    return this.#memoryBudgetBytes;
  }

  /** Does nothing while there is no process to tell. */
  setMemoryBudget(bytes: number | undefined): void {
    const process = this.#process;
    if (!process) return;
    this.#memoryBudgetBytes = bytes;
    process
      .request({ type: 'SetMemoryBudget', budgetBytes: bytes ?? null }, REQUEST_DEADLINE_MS)
      .catch((error: unknown) => this.#log.debug({ err: error }, 'The memory budget was not taken'));
  }

  /** Ends a process that cannot end itself any more; the machine is started again like after any end that nobody asked for. */
  killStuck(): void {
    this.#process?.kill();
  }

  /** Looks how much memory the process holds. */
  async sample(): Promise<void> {
    await this.#life?.sample();
  }

  async #launch(vm: VirtualMachine, life: MachineLife, preparation: Preparation): Promise<void> {
    try {
      await this.folder.writeRecord(preparation.record);
      const { firmware, swapRedisUrl } = this.#around;
      const place = { firmware, directory: this.folder.path, socketPath: this.#around.nextSocketPath(), ...(swapRedisUrl === undefined ? {} : { swapRedisUrl }) };
      const config = machineConfigOf(vm, life.run, preparation, place);
      this.#memoryBudgetBytes = config.memoryBudgetBytes;
      this.#swapName = { uid: config.uid, incarnation: config.incarnation };
      if (!(await life.begin(preparation, config))) return;
      if (this.suspended) {
        await this.discardSuspended();
        if (preparation.origin === 'Source')
          this.#notice(warning('SuspendedStateDiscarded', 'It was suspended by another version and starts anew'));
      }
      this.#notice(startNotice(preparation.startedFrom));
      this.#applyIfAccepted({ type: 'Started', at: this.#around.clock.now() });
    } catch (error) {
      await this.#refuseStart(life, preparation, error);
    }
  }

  async #refuseStart(life: MachineLife, preparation: Preparation, error: unknown): Promise<void> {
    const failure = error instanceof VmProcessRefusal || error instanceof SnapshotError ? { reason: error.reason, message: error.message } : undefined;
    this.#log.error({ err: error, output: life.process?.log.tail }, 'The machine did not start');
    if (failure) await this.#distrust(preparation, failure);
    life.fail(failure ?? { reason: 'Internal', message: (error as Error).message });
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

  /** As those see it who do parts of its work. */
  #asOwner(): LifeOwner & SleepOwner & MomentsOwner {
    const machine = (): Machine => this;
    return {
      get key() {
        return machine().key;
      },
      get folder() {
        return machine().folder;
      },
      get log() {
        return machine().#log;
      },
      get life() {
        return isLive(machine().#state) ? machine().#life : undefined;
      },
      get process() {
        return machine().#process;
      },
      get isFallingAsleep() {
        return machine().#state.phase === 'Hibernating';
      },
      get isAsleep() {
        return machine().suspended && !isLive(machine().#state);
      },
      onSlept: (isAsleep) => this.#applyIfAccepted({ type: isAsleep ? 'HibernateCompleted' : 'HibernateFailed' }),
      onNotice: (what) => this.#notice(what),
      isStarting: (life) => this.#state.phase === 'Starting' && this.#state.run === life.run,
      onEvent: (event) => this.#hear(event),
      onChange: () => this.#around.onChange(this.key),
      onProcessGone: (process, exit) => this.#mournUnlessAsked(process, exit),
      settle: async () => {
        await this.folder.settleDisk();
        this.diskWritten = await this.folder.hasWrittenDisk();
      },
      onEnded: (exit) => this.#exited(exit),
    };
  }

  #hear(event: LifeEvent): void {
    const at = this.#around.clock.now();
    switch (event.type) {
      case 'AgentAnswered':
        return this.#applyIfAccepted({ type: 'AgentAnswered', at });
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
    }
  }

  /** An end that nobody asked for. */
  #mournUnlessAsked(process: VmProcessHandle, exit: Exit): void {
    const { phase } = this.#state;
    const wasAsked = phase === 'Hibernating' || phase === 'Stopping' || phase === 'Suspending' || phase === 'Panicked';
    if (!wasAsked) this.#log.error({ ...exit, output: process.log.tail }, 'A VM process ended by itself');
  }

  #exited(exit: Exit): void {
    const before = this.#state;
    if (!isLive(before)) return;
    const now = this.#around.clock.now();
    this.#failures = failuresAfter(this.#failures, now.getTime() - before.run.startedAt.getTime());
    this.#apply({
      type: 'Exited',
      at: now,
      ...exit,
      ...this.#life?.outcome,
    });
    const wasKilled = this.#life?.isKilled ?? false;
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
      this.#life?.isReady();
    }
    this.#around.onChange(this.key);
  }
}

const logOf = ({ uid, key }: { readonly uid: string; readonly key: ObjectKey }, { log }: MachineSurroundings): Logger =>
  log.child({ vm: uid, name: `${key.namespace}/${key.name}` });

const startMillisecondsOf = (state: MachineState): number | undefined =>
  'guest' in state ? state.guest.startMilliseconds : undefined;
