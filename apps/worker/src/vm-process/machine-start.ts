import { assertNever } from '@corral/base';
import { MIB, type MachineConfig, type SnapshotBase, type StartFrom } from '@corral/contracts/for-vm-process';
import { incompatibility, type Lineage, lineageOf, openSnapshot, type PageSet, type ProbedMemory, SnapshotError, type SnapshotMachine } from '@corral/memory';
import { Emulator, type EmulatorEvents, Unbootable, v86Build } from '@corral/v86-host';
import { clearRestoring, overlayPath, replaceOverlay, restoringPath } from '../disk-overlay.ts';
import { BasePaging } from './base-paging.ts';
import { type BuiltAhead, hardwareOf } from './built-ahead.ts';
import { VmFailure } from './failure.ts';
import { openFrozen } from './frozen-state.ts';
import { MachineMemory, type MemoryMoment } from './machine-memory.ts';
import { openBase, type OpenedBase, placeBase, restorePages } from './memory.restore.ts';

export interface MachineStartOptions {
  readonly config: MachineConfig;
  readonly host: ProbedMemory;
  readonly ahead: BuiltAhead;
  readonly events: EmulatorEvents;
}

/** A machine that is all it should be, and stands still. */
export interface StartedMachine {
  readonly emulator: Emulator;
  readonly memory: MachineMemory;
  readonly hasBalloon: boolean;
  /** It goes on from a snapshot or a frozen machine. */
  readonly isRestored: boolean;
  /** What its next snapshot builds on; undefined: what there was before. */
  readonly lineage: Lineage | undefined;
  /** Of the pack whose pages are mapped below everything. */
  readonly base: string | undefined;
  /** Of one that began with a frozen moment: how its snapshots are to go on from that, should it become one. */
  readonly began?: { readonly moment: MemoryMoment; readonly packed: PageSet };
  /** Has answered for pages of the base, while some were missing. */
  readonly paging: BasePaging | undefined;
  /** What its serial line had said. */
  readonly said: Uint8Array | undefined;
}

/** Brings a machine into being: from its BIOS, a snapshot, or what another machine was when it was frozen. Where that fails, nothing of it may run. */
export class MachineStart {
  readonly #options: MachineStartOptions;

  constructor(options: MachineStartOptions) {
    this.#options = options;
  }

  /** Throws SnapshotError and VmFailure. */
  from(from: StartFrom): Promise<StartedMachine> {
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
  }

  async #boot(): Promise<StartedMachine> {
    const { config, host } = this.#options;
    // Only a guest that is known to have the driver: to others the device would be one more thing they do not know.
    const hasBalloon = config.guestAgent;
    const emulator = await this.#create(overlayPath(config.directory), { boot: true, hasBalloon });
    const memory = new MachineMemory(emulator.memory, host);
    memory.follow();
    return { emulator, memory, hasBalloon, isRestored: false, lineage: undefined, base: undefined, paging: undefined, said: undefined };
  }

  async #restore({ directory, packs, base }: Extract<StartFrom, { type: 'Snapshot' }>): Promise<StartedMachine> {
    const { config, host } = this.#options;
    const held = base && host.memory && openBase(base, config.memoryMiB * MIB);
    const snapshot = await openSnapshot(directory, { ...(packs === undefined ? {} : { packs }), ...(held ? { base: held.sha256 } : {}) }).catch((error: unknown) => {
      held?.close();
      throw error;
    });
    try {
      await this.#requireLike(snapshot.manifest.machine);
      const hasBalloon = snapshot.manifest.machine.devices.balloon;
      await clearRestoring(config.directory);
      const [emulator, devices] = await Promise.all([this.#create(restoringPath(config.directory), { boot: false, hasBalloon }), snapshot.devices()]);
      emulator.memory.clear();
      const memory = new MachineMemory(emulator.memory, host);
      const paging = snapshot.isOnBase && held ? await this.#mapBase(memory, held, base) : undefined;
      memory.follow({ layered: await restorePages(memory.ram, snapshot) });
      for await (const run of snapshot.clusters()) emulator.disk?.writeClusters(run);
      const said = await snapshot.serial();
      await snapshot.verified;
      emulator.restoreDevices(devices);
      await replaceOverlay(config.directory);
      const lineage = lineageOf(snapshot.digest, snapshot.manifest);
      return { emulator, memory, hasBalloon, isRestored: true, lineage, base: memory.ram.hasBase ? held?.sha256 : undefined, paging, said };
    } finally {
      // The mapping holds the memory: its descriptor is not needed any more, nor its name.
      held?.close();
      await snapshot.close();
    }
  }

  async #thaw({ directory, layer, base }: Extract<StartFrom, { type: 'Frozen' }>): Promise<StartedMachine> {
    const { config, host } = this.#options;
    const frozen = await openFrozen(directory, layer);
    await this.#requireLike(frozen.machine);
    const hasBalloon = frozen.machine.devices.balloon;
    const held = base && base.sha256 === frozen.base ? openBase(base, config.memoryMiB * MIB) : undefined;
    if (frozen.base !== undefined && !held) throw new SnapshotError('SnapshotUnreadable', 'the base that the machine lies on cannot be had');
    try {
      await clearRestoring(config.directory);
      const emulator = await this.#create(restoringPath(config.directory), { boot: false, hasBalloon });
      emulator.memory.clear();
      const memory = new MachineMemory(emulator.memory, host);
      const paging = held && (await this.#mapBase(memory, held, base));
      memory.follow(frozen.place(memory.ram));
      const began = { moment: memory.moment(frozen.scope), packed: frozen.packed(memory.ram) };
      for (const { number, bytes } of frozen.clusters()) emulator.disk?.writeClusters({ numbers: Uint32Array.of(number), bytes, layer: 0 });
      emulator.restoreDevices(frozen.devices);
      await replaceOverlay(config.directory);
      return { emulator, memory, hasBalloon, isRestored: true, lineage: frozen.lineage, base: memory.ram.hasBase ? held?.sha256 : undefined, began, paging, said: frozen.said };
    } finally {
      held?.close();
    }
  }

  /** The memory's pages are the base's afterwards, those that are missing as soon as somebody looks at them. */
  async #mapBase({ ram }: MachineMemory, held: OpenedBase, base: SnapshotBase | undefined): Promise<BasePaging | undefined> {
    const paging = base?.requestsPath === undefined ? undefined : await BasePaging.begin(ram, held, base.requestsPath, this.#options.config.directory);
    if (!paging) placeBase(ram, held);
    return paging;
  }

  async #create(overlay: string, how: { readonly boot: boolean; readonly hasBalloon: boolean }): Promise<Emulator> {
    const { config, ahead, events } = this.#options;
    const hardware = hardwareOf(config, how.hasBalloon);
    const identity = { overlayPath: overlay, macAddress: config.macAddress };
    const built = await ahead.take(hardware);
    if (built && !how.boot) {
      built.claim(identity, events);
      return built;
    }
    try {
      return await Emulator.create({ ...hardware, ...identity, commandLine: config.commandLine }, events, { boot: how.boot });
    } catch (error) {
      if (error instanceof Unbootable) throw new VmFailure('ImageUnbootable', error.message, { cause: error });
      throw error;
    }
  }

  /** The balloon is not asked for: a machine has the one it was made with. */
  async #requireLike(machine: SnapshotMachine): Promise<void> {
    const difference = incompatibility(machine, await snapshotMachineOf(this.#options.config, machine.devices.balloon));
    if (difference !== undefined) throw new SnapshotError('SnapshotIncompatible', difference);
  }
}

/** What a snapshot of this machine is of. */
export async function snapshotMachineOf({ memoryMiB, imageDigest, firmware, acpi, artifacts }: MachineConfig, balloon: boolean): Promise<SnapshotMachine> {
  return {
    v86Build: await v86Build(firmware),
    memoryMiB,
    imageDigest,
    devices: { acpi, disk: artifacts.disk !== undefined, cdrom: artifacts.cdrom !== undefined, floppy: artifacts.floppy !== undefined, balloon },
  };
}

