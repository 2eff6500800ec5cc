import { createHash, hash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem, type FrozenTaken, type MachineConfig, type MachineIdentity, type SnapshotTaken, type StartFrom, type VmProcessOutput } from '@corral/contracts/for-vm-process';
import { AgentSession, GuestFiles, powerOff } from '@corral/guest-agent';
import { decodeManifest, type Lineage, lineageOf, MANIFEST_FILE, NO_LINEAGE, type ProbedMemory, type SnapshotMachine } from '@corral/memory';
import { type Emulator, type EmulatorHardware } from '@corral/v86-host';
import { type BasePaging } from './base-paging.ts';
import { type BuiltAhead, hardwareOf } from './built-ahead.ts';
import { type CapturedMachine } from './capture.ts';
import { VmFailure } from './failure.ts';
import { freezeMachine, type FrozenLayer } from './frozen-state.ts';
import { GuestActivity } from './guest-activity.ts';
import { PanicWatch } from './panic.watch.ts';
import { type MachineMemory } from './machine-memory.ts';
import { MachineStart, snapshotMachineOf, type StartedMachine } from './machine-start.ts';
import { MemoryKeeper } from './memory-keeper.ts';
import { trimProcess } from './process-memory.ts';
import { keepScreen } from './screen.http.ts';
import { SerialHub } from './serial.hub.ts';
import { takeSnapshot, type CopiedState, type SnapshotIdentity } from './snapshot.taking.ts';

/** What a machine says by itself, and its end. */
export interface VmEvents {
  tell(output: VmProcessOutput): void;
  /** The machine is over; the process should say so and exit. */
  end(reason: 'GuestPoweredOff' | 'EmulatorFailed', message: string): void;
}

/** One virtual machine: an emulator, the conversation with its guest agent, and its serial line. */
export class Vm {
  readonly activity = new GuestActivity((event) => this.#events.tell(event), () => performance.now());
  readonly serial = new SerialHub((bytes) => this.emulator().serial.write(bytes));
  #config: MachineConfig;
  readonly #events: VmEvents;
  readonly #host: ProbedMemory;
  readonly #ahead: BuiltAhead;
  readonly #session: AgentSession;
  readonly #files: GuestFiles;
  readonly #panic: PanicWatch;
  /** The guest agent answers a greeting. */
  #greeted = Promise.withResolvers<undefined>();
  readonly #halted = Promise.withResolvers<undefined>();
  #emulator: Emulator | undefined;
  #memory: MachineMemory | undefined;
  /** Of the pack whose pages are mapped below everything else. */
  #base: string | undefined;
  /** While pages of it may be missing. */
  #paging: BasePaging | undefined;
  /** Pages that other machines may start from, by the directory they were frozen into. */
  readonly #frozen = new Map<string, FrozenLayer>();
  #keeper: MemoryKeeper | undefined;
  #budgetBytes: number | undefined;
  /** Of a machine that began with a frozen moment and has not been written out since: what is its own, should that moment become a snapshot. */
  #began: StartedMachine['began'];
  /** What the next snapshot builds on. */
  #lineage: Lineage = NO_LINEAGE;
  #hasBalloon = false;
  #paused = false;
  #panicked = false;
  #stopping = false;
  /** Start, pause, resume and the copying of a snapshot follow one another. */
  #turn: Promise<unknown> = Promise.resolve();
  /** The latest snapshot: the next waits until it is written, for a disk holds on to one moment only. */
  #written: Promise<unknown> = Promise.resolve();
  /** The writing of what was copied last: it reads the emulator's disk. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(config: MachineConfig, events: VmEvents, host: ProbedMemory, ahead: BuiltAhead) {
    this.#host = host;
    this.#config = config;
    this.#budgetBytes = config.memoryBudgetBytes;
    this.#events = events;
    this.#ahead = ahead;
    this.#session = this.#makeSession();
    this.#files = new GuestFiles(this.#session);
    this.#panic = new PanicWatch({
      screen: () => this.#emulator?.screen,
      answers: (deadlineMs) => (this.#session.available ? this.#session.ping(deadlineMs) : Promise.resolve(false)),
      onPanic: (message) => this.#onPanic(message),
    });
  }

  start(from: StartFrom): Promise<void> {
    return this.#inTurn(() => this.#begin(from));
  }

  /** Goes on as another machine; resolves when the guest has been told. What was under way with its agent ends. */
  async identify(identity: MachineIdentity): Promise<void> {
    const greeted = await this.#inTurn(() => {
      this.#config = { ...this.#config, ...identity };
      if (this.#keeper) this.#keeper.directory = identity.directory;
      if (this.#paging) this.#paging.folder = identity.directory;
      this.#greeted = Promise.withResolvers();
      if (this.#config.guestAgent) this.#session.connect();
      else this.#greeted.resolve(undefined);
      // Wrapped: others need not wait for a guest that does not answer.
      return Promise.resolve({ answer: this.#greeted.promise });
    });
    await greeted.answer;
  }

  pause(): Promise<void> {
    return this.#inTurn(async () => {
      this.#paused = true;
      this.#session.suspend();
      await this.emulator().pause();
    });
  }

  resume(): Promise<void> {
    return this.#inTurn(() => {
      this.#paused = false;
      this.#run();
      return Promise.resolve();
    });
  }

  /** Writes a snapshot of what changed since the last one, on none of the `lost` packs; the guest stands still only while the last of it is copied. */
  async snapshot(directory: string, lost: readonly string[] = []): Promise<SnapshotTaken> {
    const machine = await this.#machine();
    const written = this.#written.then(async () => {
      const { writing } = await this.#inTurn(async () => {
        const copied = await takeSnapshot(this.#captured(), this.#lineage, new Set(lost));
        // Wrapped: the turn ends with the copying.
        return { writing: this.#write(copied, directory, { machine, namespace: this.#config.namespace }) };
      });
      return writing;
    });
    this.#written = written.catch(() => undefined);
    return written;
  }

  /** Writes what the machine is now for others on this node to start from; the guest stands still only while the last of it is copied. */
  async freeze(directory: string): Promise<FrozenTaken> {
    const machine = await this.#machine();
    // A disk holds on to one moment only.
    const frozen = this.#written.then(async () => {
      const { freezing } = await this.#inTurn(() => {
        const freezing = freezeMachine(this.#captured(), directory, { machine, lineage: this.#lineage, base: this.#base });
        return freezing.then((done) => ({ freezing: done }));
      });
      if (freezing.layer) this.#frozen.set(directory, freezing.layer);
      return freezing.taken;
    });
    this.#written = frozen.catch(() => undefined);
    return frozen;
  }

  /** What it began with is the snapshot whose manifest lies here; nothing happens where it has been written out by itself since. */
  async buildOn(directory: string): Promise<void> {
    const manifest = await readFile(join(directory, MANIFEST_FILE));
    const built = this.#written.then(() =>
      this.#inTurn(() => {
        if (this.#began) this.#lineage = lineageOf(hash('sha256', manifest), decodeManifest(manifest));
        this.#began?.moment.adopt(this.#began.packed);
        this.#began = undefined;
        return Promise.resolve();
      }),
    );
    this.#written = built.catch(() => undefined);
    return built;
  }

  releaseFrozen(directory: string): void {
    this.#frozen.get(directory)?.close();
    this.#frozen.delete(directory);
  }

  /** Stands still for good and writes a complete snapshot, and what the screen shows. With `ifIdle`, throws Busy when somebody uses the guest. */
  async hibernate(directory: string, screenDirectory: string, ifIdle: boolean, lost: readonly string[] = []): Promise<SnapshotTaken> {
    await this.#inTurn(async () => {
      if (ifIdle && !this.activity.isIdle) throw new VmFailure('Busy', 'the machine is used');
      this.#paused = true;
      this.#session.suspend();
      await this.emulator().pause();
      await keepScreen(this.emulator().screen, screenDirectory);
    });
    return this.snapshot(directory, lost);
  }

  /** Asks the guest to switch itself off and waits that long; then, or with 0 at once, stops it. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    if (graceMs > 0 && this.#session.available && !this.#panicked) {
      if (this.#paused) await this.resume();
      await Promise.race([this.#askToPowerOff(), after(graceMs)]);
    }
    this.#panic.dispose();
    this.#session.dispose('the machine was stopped');
    await this.#emulator?.pause();
  }

  /** Ends it without a word, and gives back what it held; the process goes on. */
  async discard(): Promise<void> {
    await this.stop(0);
    await this.#letGo();
  }

  /** How much of the node's memory the guest's RAM may take from now on; undefined: as much as it likes. */
  setMemoryBudget(bytes: number | undefined): void {
    this.#budgetBytes = bytes;
    if (this.#keeper) this.#keeper.budgetBytes = bytes;
  }

  /** Which devices it has. */
  get hardware(): EmulatorHardware {
    return hardwareOf(this.#config, this.#hasBalloon);
  }

  /** The emulator, for screen and input. Throws a Problem before the machine was started. */
  emulator(): Emulator {
    if (!this.#emulator) throw new Problem('vm.not-running', 'the machine has not been started yet');
    return this.#emulator;
  }

  /** The emulator while its guest runs, for input. Throws a Problem. */
  running(): Emulator {
    if (this.#paused) throw new Problem('vm.not-running', 'the machine is paused');
    return this.emulator();
  }

  /** The guest agent, or the Problem that says why there is none to talk to. */
  agent(): { readonly session: AgentSession; readonly files: GuestFiles } {
    this.running();
    if (this.#panicked) throw new Problem('vm.no-guest-agent', 'the guest’s kernel has panicked');
    if (!this.#config.guestAgent) throw new Problem('vm.no-guest-agent', 'the machine’s image has no guest agent');
    if (!this.#session.available) throw new Problem('vm.no-guest-agent', 'the guest agent does not answer');
    return { session: this.#session, files: this.#files };
  }

  async #write(copied: CopiedState, directory: string, identity: SnapshotIdentity): Promise<SnapshotTaken> {
    const writing = copied.write(directory, identity);
    this.#writing = writing.catch(() => undefined);
    const { taken, lineage } = await writing;
    this.#lineage = lineage;
    this.#began?.moment.abandon();
    this.#began = undefined;
    return taken;
  }

  async #begin(from: StartFrom): Promise<void> {
    const events = { onHalt: () => this.#onHalt(), onReboot: () => this.#onReboot() };
    const started = await new MachineStart({ config: this.#config, host: this.#host, ahead: this.#ahead, events }).from(from);
    // Nobody has watched a fork before.
    if (started.said && from.type === 'Frozen') this.serial.append(started.said);
    else if (started.said) this.serial.restore(started.said);
    this.#adopt(started);
    this.#run();
  }

  #adopt({ emulator, memory, hasBalloon, isRestored, lineage, base, began, paging }: StartedMachine): void {
    this.#emulator = emulator;
    this.#memory = memory;
    this.#paging = paging;
    this.#hasBalloon = hasBalloon;
    this.#base = base;
    this.#began = began;
    if (lineage) this.#lineage = lineage;
    emulator.serial.onBytes = (bytes) => {
      this.serial.append(bytes);
      this.#panic.see(bytes);
    };
    emulator.agentPort.onBytes = (bytes) => this.#session.receive(bytes);
    const { ram } = memory;
    // Pages given back show what lies below them, so that has to be known.
    if (!isRestored || ram.hasBase) emulator.onFreePages = (pages) => ram.giveBack(pages);
    this.#keeper = new MemoryKeeper({
      config: this.#config,
      budgetBytes: this.#budgetBytes,
      ram,
      host: this.#host.memory,
      instructions: () => emulator.instructions,
      tell: (memory, pageWaits) => this.#events.tell({ type: 'Memory', memory, ...(pageWaits === undefined ? {} : { pageWaits }) }),
      isPagedByOther: () => paging?.isActive ?? false,
    });
    if (this.#config.guestAgent) this.#session.connect();
  }

  /** Gives back to the host what the guest's last work left in this process. Call while the guest is idle. */
  trim(): void {
    const emulator = this.#emulator;
    if (!emulator) return;
    emulator.forgetCompiledCode();
    trimProcess(this.#host.memory);
    this.#host.memory?.dropZeroPages(emulator.memory.behind());
    this.#memory?.ram.shareAgain();
  }

  #run(): void {
    this.emulator().run();
    if (this.#config.guestAgent) this.#session.resume();
    this.#panic.start();
  }

  /** Of everything that is the machine's. It will not run again. */
  async #letGo(): Promise<void> {
    await this.#emulator?.dispose();
    await this.#keeper?.dispose();
    await this.#paging?.end();
    this.#memory?.dispose();
  }

  #onHalt(): void {
    this.#halted.resolve(undefined);
    if (this.#stopping || this.#panicked) return;
    this.#stopping = true;
    this.#events.end('GuestPoweredOff', 'the guest switched itself off');
  }

  #onPanic(message: string): void {
    if (this.#panicked) return;
    this.#panicked = true;
    this.#session.dispose('the guest’s kernel has panicked');
    // A panicked kernel spins for ever; its screen is kept, its CPU time is not.
    void this.emulator().pause();
    this.#events.tell({ type: 'GuestPanicked', message: `Kernel panic - not syncing: ${message}` });
  }

  #onReboot(): void {
    if (this.#stopping) return this.#halted.resolve(undefined);
    this.#inTurn(async () => {
      this.#session.dispose('the guest restarts');
      await this.#writing;
      await this.#letGo();
      // Its memory begins anew; its disk is the same.
      this.#lineage = { ...this.#lineage, memory: [] };
      this.#panicked = false;
      this.#events.tell({ type: 'GuestRebooted' });
      await this.#begin({ type: 'Boot' });
    }).catch((error: unknown) => this.#events.end('EmulatorFailed', `the machine could not boot again: ${String(error)}`));
  }

  async #askToPowerOff(): Promise<void> {
    // The guest may be gone before it answers.
    await Promise.race([powerOff(this.#session).catch(() => new Promise(() => undefined)), this.#halted.promise]);
    await this.#halted.promise;
  }

  #captured(): CapturedMachine {
    const [emulator, memory] = [this.emulator(), this.#memory];
    if (!memory) throw new VmFailure('NotStarted', 'the machine has not been started');
    return { emulator, memory, serial: this.serial, mayRun: () => !this.#paused && !this.#panicked };
  }

  #machine(): Promise<SnapshotMachine> {
    return snapshotMachineOf(this.#config, this.#hasBalloon);
  }

  #makeSession(): AgentSession {
    const port = (): Emulator['agentPort'] | undefined => this.#emulator?.agentPort;
    return new AgentSession({
      port: {
        write: (message) => port()?.write(message),
        get waitingBytes() {
          return port()?.waitingBytes ?? 0;
        },
      },
      timers: {
        after: (milliseconds, call) => {
          const timer = setTimeout(call, milliseconds);
          return () => clearTimeout(timer);
        },
      },
      randomBytes,
      freshness: () => ({
        epochMilliseconds: performance.timeOrigin + performance.now(),
        seed: randomBytes(64),
        hostname: this.#config.hostname,
        machineId: createHash('sha256').update(this.#config.uid).digest('hex').slice(0, 32),
        macAddress: this.#config.macAddress,
      }),
      events: {
        onAnswered: () => {
          this.#greeted.resolve(undefined);
          this.#events.tell({ type: 'AgentAnswered' });
        },
        onSilent: () => this.#events.tell({ type: 'AgentSilent' }),
      },
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
