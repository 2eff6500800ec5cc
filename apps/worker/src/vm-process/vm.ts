import { createHash, randomBytes } from 'node:crypto';
import { assertNever } from '@corral/base';
import { MIB, Problem, type FrozenTaken, type MachineConfig, type MachineIdentity, type SnapshotTaken, type StartFrom, type VmProcessOutput } from '@corral/contracts/for-vm-process';
import { AgentSession, GuestFiles, powerOff } from '@corral/guest-agent';
import { incompatibility, type Lineage, lineageOf, NO_LINEAGE, openSnapshot, SnapshotError, type ProbedMemory, type SnapshotMachine } from '@corral/memory';
import { Emulator, Unbootable, v86Build, type EmulatorEvents, type EmulatorHardware } from '@corral/v86-host';
import { clearRestoring, overlayPath, replaceOverlay, restoringPath } from '../disk-overlay.ts';
import { untilWhole } from './base-wait.ts';
import { type BuiltAhead, hardwareOf } from './built-ahead.ts';
import { type CapturedMachine } from './capture.ts';
import { VmFailure } from './failure.ts';
import { freezeMachine, openFrozen, type FrozenLayer } from './frozen-state.ts';
import { GuestActivity } from './guest-activity.ts';
import { PanicWatch } from './panic.watch.ts';
import { MachineMemory } from './machine-memory.ts';
import { MemoryKeeper } from './memory-keeper.ts';
import { openBase, placeBase, restoreMemory } from './memory.restore.ts';
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
  /** Pages that other machines may start from, by the directory they were frozen into. */
  readonly #frozen = new Map<string, FrozenLayer>();
  #keeper: MemoryKeeper | undefined;
  #budgetBytes: number | undefined;
  /** What the next snapshot builds on. */
  #lineage: Lineage = NO_LINEAGE;
  #hasBalloon = false;
  #isRestored = false;
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
    return this.#inTurn(async () => {
      switch (from.type) {
        case 'Boot':
          return this.#boot();
        case 'Snapshot':
          return this.#restore(from);
        case 'Frozen':
          return this.#thaw(from);
        default:
          return assertNever(from, 'way to start');
      }
    });
  }

  /** Goes on as another machine; resolves when the guest has been told. What was under way with its agent ends. */
  async identify(identity: MachineIdentity): Promise<void> {
    const greeted = await this.#inTurn(() => {
      this.#config = { ...this.#config, ...identity };
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

  /** Writes a snapshot of what changed since the last one; the guest stands still only while the last of it is copied. */
  async snapshot(directory: string): Promise<SnapshotTaken> {
    const machine = await this.#machine();
    const written = this.#written.then(async () => {
      const { writing } = await this.#inTurn(async () => {
        const copied = await takeSnapshot(this.#captured(), this.#lineage);
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

  releaseFrozen(directory: string): void {
    this.#frozen.get(directory)?.close();
    this.#frozen.delete(directory);
  }

  /** Stands still for good and writes a complete snapshot, and what the screen shows. With `ifIdle`, throws Busy when somebody uses the guest. */
  async hibernate(directory: string, screenDirectory: string, ifIdle: boolean): Promise<SnapshotTaken> {
    await this.#inTurn(async () => {
      if (ifIdle && !this.activity.isIdle) throw new VmFailure('Busy', 'the machine is used');
      this.#paused = true;
      this.#session.suspend();
      await this.emulator().pause();
      await keepScreen(this.emulator().screen, screenDirectory);
    });
    return this.snapshot(directory);
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
    await this.#emulator?.dispose();
    await this.#keeper?.dispose();
    this.#memory?.dispose();
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
    return taken;
  }

  async #boot(): Promise<void> {
    // Only a guest that is known to have the driver: to others the device would be one more thing they do not know.
    this.#hasBalloon = this.#config.guestAgent;
    this.#isRestored = false;
    const emulator = await this.#create(overlayPath(this.#config.directory), { boot: true });
    const memory = new MachineMemory(emulator.memory, this.#host);
    memory.follow();
    this.#adopt(emulator, memory);
    this.#run();
  }

  async #restore({ directory, packs, base }: Extract<StartFrom, { type: 'Snapshot' }>): Promise<void> {
    const machineFolder = this.#config.directory;
    const held = base && this.#host.memory && openBase(base, this.#config.memoryMiB * MIB);
    const snapshot = await openSnapshot(directory, { ...(packs === undefined ? {} : { packs }), ...(held ? { base: held.sha256 } : {}) }).catch((error: unknown) => {
      held?.close();
      throw error;
    });
    try {
      const difference = incompatibility(snapshot.manifest.machine, await this.#machine());
      if (difference !== undefined) throw new SnapshotError('SnapshotIncompatible', difference);
      this.#hasBalloon = snapshot.manifest.machine.devices.balloon;
      this.#isRestored = true;
      await clearRestoring(machineFolder);
      const [emulator, devices] = await Promise.all([this.#create(restoringPath(machineFolder), { boot: false }), snapshot.devices()]);
      if (held && base?.requestsPath !== undefined) await untilWhole(base.requestsPath);
      emulator.memory.clear();
      const memory = new MachineMemory(emulator.memory, this.#host);
      memory.follow({ layered: await restoreMemory(memory.ram, snapshot, held) });
      for await (const run of snapshot.clusters()) emulator.disk?.writeClusters(run);
      const said = await snapshot.serial();
      await snapshot.verified;
      emulator.restoreDevices(devices);
      await replaceOverlay(machineFolder);
      this.serial.restore(said);
      this.#lineage = lineageOf(snapshot.digest, snapshot.manifest);
      this.#base = memory.ram.hasBase ? held?.sha256 : undefined;
      this.#adopt(emulator, memory);
    } finally {
      // The mapping holds the memory: its descriptor is not needed any more, nor its name.
      held?.close();
      await snapshot.close();
    }
    this.#run();
  }

  async #thaw({ directory, base }: Extract<StartFrom, { type: 'Frozen' }>): Promise<void> {
    const machineFolder = this.#config.directory;
    const frozen = await openFrozen(directory);
    const difference = incompatibility(frozen.machine, await this.#machine());
    if (difference !== undefined) throw new SnapshotError('SnapshotIncompatible', difference);
    this.#hasBalloon = frozen.machine.devices.balloon;
    this.#isRestored = true;
    const held = base && base.sha256 === frozen.base ? openBase(base, this.#config.memoryMiB * MIB) : undefined;
    if (frozen.base !== undefined && !held) throw new SnapshotError('SnapshotUnreadable', 'the base that the machine lies on cannot be had');
    try {
      await clearRestoring(machineFolder);
      const emulator = await this.#create(restoringPath(machineFolder), { boot: false });
      emulator.memory.clear();
      const memory = new MachineMemory(emulator.memory, this.#host);
      if (held && base?.requestsPath !== undefined) await untilWhole(base.requestsPath);
      if (held) placeBase(memory.ram, held);
      memory.follow(frozen.place(memory.ram));
      for (const { number, bytes } of frozen.clusters()) emulator.disk?.writeClusters({ numbers: Uint32Array.of(number), bytes, layer: 1 });
      emulator.restoreDevices(frozen.devices);
      await replaceOverlay(machineFolder);
      this.serial.append(frozen.said);
      this.#lineage = frozen.lineage;
      this.#base = memory.ram.hasBase ? held?.sha256 : undefined;
      this.#adopt(emulator, memory);
    } finally {
      held?.close();
    }
    this.#run();
  }

  async #create(overlay: string, how: { readonly boot: boolean }): Promise<Emulator> {
    const { commandLine, macAddress } = this.#config;
    const { hardware } = this;
    const identity = { overlayPath: overlay, macAddress };
    const events: EmulatorEvents = { onHalt: () => this.#onHalt(), onReboot: () => this.#onReboot() };
    const built = await this.#ahead.take(hardware);
    if (built && !how.boot) {
      built.claim(identity, events);
      return built;
    }
    try {
      return await Emulator.create({ ...hardware, ...identity, commandLine }, events, how);
    } catch (error) {
      if (error instanceof Unbootable) throw new VmFailure('ImageUnbootable', error.message, { cause: error });
      throw error;
    }
  }

  #adopt(emulator: Emulator, memory: MachineMemory): void {
    this.#emulator = emulator;
    this.#memory = memory;
    emulator.serial.onBytes = (bytes) => {
      this.serial.append(bytes);
      this.#panic.see(bytes);
    };
    emulator.agentPort.onBytes = (bytes) => this.#session.receive(bytes);
    const { ram } = memory;
    // Pages given back show what lies below them, so that has to be known.
    if (!this.#isRestored || ram.hasBase) emulator.onFreePages = (pages) => ram.giveBack(pages);
    this.#keeper = new MemoryKeeper({
      config: this.#config,
      budgetBytes: this.#budgetBytes,
      ram,
      host: this.#host.memory,
      instructions: () => emulator.instructions,
      tell: (status) => this.#events.tell({ type: 'Memory', memory: status }),
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
      await this.emulator().dispose();
      await this.#keeper?.dispose();
      this.#memory?.dispose();
      // Its memory begins anew; its disk is the same.
      this.#lineage = { ...this.#lineage, memory: [] };
      this.#base = undefined;
      this.#panicked = false;
      this.#events.tell({ type: 'GuestRebooted' });
      await this.#boot();
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

  async #machine(): Promise<SnapshotMachine> {
    const { memoryMiB, imageDigest, firmware, acpi, artifacts } = this.#config;
    return {
      v86Build: await v86Build(firmware),
      memoryMiB,
      imageDigest,
      devices: {
        acpi,
        disk: artifacts.disk !== undefined,
        cdrom: artifacts.cdrom !== undefined,
        floppy: artifacts.floppy !== undefined,
        balloon: this.#hasBalloon,
      },
    };
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
