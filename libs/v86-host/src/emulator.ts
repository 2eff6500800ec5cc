import { readFile } from 'node:fs/promises';
import { V86, type V86Options } from 'v86';
import { AgentPort } from './agent-port.ts';
import { type FreePages, reportFreePages } from './balloon.ts';
import { OverlayDisk } from './disk.ts';
import { GuestMemory } from './guest-memory.ts';
import { napWhenIdle } from './idle.ts';
import { shareEmptyPorts } from './io-ports.ts';
import { jitWhenBusy } from './jit.ts';
import { Keyboard } from './keyboard.ts';
import { LateDisk } from './late-disk.ts';
import { Pointer } from './pointer.ts';
import { Screen } from './screen.ts';
import { SerialPort } from './serial-port.ts';
import { clearTimeStampOffset, readTimeStamp, setTimeStamp, type TimeStamp } from './time-stamp.ts';
import { v86Module, type FirmwarePaths } from './v86.build.ts';
import type { V86Disk, V86Emulator } from './v86.internals.ts';

const MIB = 1024 * 1024;
/** v86 puts an initrd here. */
const INITRD_ADDRESS = 64 * MIB;
const VGA_MEMORY_BYTES = 8 * MIB;
/** Where upstream's VGA device puts its screen memory among its saved state. */
const VGA_STATE_SCREEN_MEMORY = 39;
/** ACPI PM1a control register as v86 decodes it, and the bit that puts the machine to sleep (ACPI 6.5, 4.8.3.2.1). */
const PM1A_CONTROL_PORT = 0xb004;
const SLEEP_ENABLE = 1 << 13;

/** Absolute paths of what to boot from. */
export interface BootMedia {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly disk?: string;
  readonly cdrom?: string;
  readonly floppy?: string;
  readonly multiboot?: string;
}

/** What a machine's devices are made of: machines that are alike in this differ only in what they hold. */
export interface EmulatorHardware {
  readonly memoryMiB: number;
  readonly firmware: FirmwarePaths;
  readonly media: BootMedia;
  readonly acpi: boolean;
  /** Whether the guest can tell which of its pages are free. */
  readonly balloon: boolean;
  /** The name under which the guest finds its agent's port. */
  readonly agentPortName: string;
}

/** Whose a machine is. */
export interface EmulatorIdentity {
  /** Where the clusters the guest changes are kept; an existing overlay is continued. */
  readonly overlayPath: string;
  readonly macAddress: string;
}

export interface EmulatorConfig extends EmulatorHardware, EmulatorIdentity {
  readonly commandLine: string;
}

/** The machine cannot boot as configured; the message is for people. */
export class Unbootable extends Error {
  override readonly name = 'Unbootable';
}

/** What a machine does by itself. Each is told of once per emulator, except halts. */
export interface EmulatorEvents {
  /** The CPU stopped with interrupts off, or went to ACPI sleep: the guest powered itself off. */
  readonly onHalt: () => void;
  /** The guest asked for a reset. Nothing of this emulator may be used afterwards: make another one. */
  readonly onReboot: () => void;
}

// v86's VGA allocates its picture only where ImageData exists; without it a graphics mode crashes.
globalThis.ImageData ??= class {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  constructor(data: Uint8ClampedArray, width: number, height: number) {
    this.data = data;
    this.width = width;
    this.height = height;
  }
} as unknown as typeof ImageData;

/** One x86 PC. Made stopped; its devices are reached through the parts. */
export class Emulator {
  readonly memory: GuestMemory;
  readonly screen: Screen;
  readonly serial: SerialPort;
  readonly agentPort: AgentPort;
  readonly keyboard: Keyboard;
  readonly pointer: Pointer;
  /** Told of RAM the guest has no use for, while it runs; what was in it need not be kept. */
  onFreePages: (pages: FreePages) => void = () => undefined;
  readonly #emulator: V86Emulator;
  readonly #disks: Disks;
  readonly #endNap: () => void;
  #events: EmulatorEvents | undefined;
  #disk: OverlayDisk | undefined;
  #macAddress: Uint8Array | undefined;
  #stoppedAt: TimeStamp | undefined;

  private constructor(emulator: V86Emulator, screen: Screen, disks: Disks, { acpi, agentPortName }: EmulatorHardware) {
    this.#emulator = emulator;
    this.#disks = disks;
    this.#endNap = napWhenIdle(emulator.v86);
    this.screen = screen;
    this.memory = new GuestMemory(emulator.v86.cpu);
    this.serial = new SerialPort(emulator);
    this.agentPort = new AgentPort(emulator, agentPortName);
    this.keyboard = new Keyboard(emulator);
    this.pointer = new Pointer(emulator, screen);
    this.#listen(acpi);
    reportFreePages(emulator.v86.cpu, (pages) => this.onFreePages(pages));
  }

  /**
   * A machine ready to run from its BIOS, or, with `boot: false`, ready for `restoreDevices`. Throws Unbootable where the media
   * and the memory do not fit together.
   */
  static async create(config: EmulatorConfig, events: EmulatorEvents, { boot }: { boot: boolean }): Promise<Emulator> {
    const disks = plugDisks(config.media);
    // A machine that boots reads its disk as it is built.
    const disk = disks.disk?.open(config.overlayPath);
    const emulator = await Emulator.#assemble(config, disks, boot ? config.commandLine : undefined);
    emulator.#become(config, events, disk);
    return emulator;
  }

  /** A machine built before anybody knows whose it will be. `claim` it, then `restoreDevices`; it cannot boot. */
  static build(hardware: EmulatorHardware): Promise<Emulator> {
    return Emulator.#assemble(hardware, plugDisks(hardware.media), undefined);
  }

  static async #assemble(hardware: EmulatorHardware, disks: Disks, bootCommandLine: string | undefined): Promise<Emulator> {
    const screen = new Screen();
    const options = await v86Options(hardware, disks, bootCommandLine);
    const emulator = new V86(options) as unknown as V86Emulator;
    interceptScreen(emulator, screen);
    await new Promise<void>((resolve) => emulator.add_listener('emulator-loaded', () => resolve()));
    const { cpu } = emulator.v86;
    screen.attach(cpu);
    jitWhenBusy(cpu);
    shareEmptyPorts(cpu.io);
    return new Emulator(emulator, screen, disks, hardware);
  }

  /** Makes the machine somebody's. Once, before anything else. */
  claim(identity: EmulatorIdentity, events: EmulatorEvents): void {
    this.#become(identity, events, this.#disks.disk?.open(identity.overlayPath));
  }

  /** The disk the guest may write to, where it has one. */
  get disk(): OverlayDisk | undefined {
    return this.#disk;
  }

  get running(): boolean {
    return this.#emulator.v86.running;
  }

  get instructions(): number {
    return this.#emulator.get_instruction_counter();
  }

  /** Runs on. The guest's cycle counter continues from where `pause` stopped it, so that to the guest no time has passed. */
  run(): void {
    if (this.#stoppedAt) setTimeStamp(this.#emulator.v86.cpu, this.#stoppedAt);
    this.#stoppedAt = undefined;
    this.#emulator.v86.run();
    this.agentPort.release();
  }

  /** Stops between two instructions; resolves when the guest's state no longer changes. */
  async pause(): Promise<void> {
    const machine = this.#emulator.v86;
    this.agentPort.hold();
    if (!machine.running) return;
    await new Promise<void>((resolve) => {
      const stopped = (): void => {
        this.#emulator.remove_listener('emulator-stopped', stopped);
        resolve();
      };
      this.#emulator.add_listener('emulator-stopped', stopped);
      machine.stop();
      machine.next_tick(0);
    });
    this.#stoppedAt = readTimeStamp(machine.cpu);
  }

  /** The state of CPU and devices without RAM and screen memory, and without the disk's clusters. About a megabyte. Call while paused. */
  saveDevices(): Uint8Array {
    const { cpu } = this.#emulator.v86;
    const { vga } = cpu.devices;
    const [pack, vgaState] = [cpu.pack_memory, vga.get_state];
    cpu.pack_memory = () => ({ packed_memory: new Uint8Array(0), bitmap: { get_buffer: () => new ArrayBuffer(0) } });
    vga.get_state = () => {
      const state = vgaState.call(vga);
      // Nothing is written over screen memory when it is restored: its pages are there already.
      state[VGA_STATE_SCREEN_MEMORY] = new Uint8Array(0);
      return state;
    };
    try {
      return new Uint8Array(this.#emulator.v86.save_state());
    } finally {
      cpu.pack_memory = pack;
      vga.get_state = vgaState;
    }
  }

  /** Takes over the state saved by `saveDevices`, after RAM, screen memory and disk were written. Call before the first `run`. */
  restoreDevices(devices: Uint8Array<ArrayBuffer>): void {
    const { cpu } = this.#emulator.v86;
    clearTimeStampOffset(cpu);
    const unpack = cpu.unpack_memory;
    // RAM is in place already.
    cpu.unpack_memory = () => undefined;
    try {
      const exact = devices.byteOffset === 0 && devices.byteLength === devices.buffer.byteLength;
      this.#emulator.v86.restore_state(exact ? devices.buffer : devices.slice().buffer);
    } finally {
      cpu.unpack_memory = unpack;
    }
    this.#applyMac();
  }

  /** Everything in one piece, as upstream saves it: what our own way is measured against. Call while paused. */
  saveWhole(): ArrayBuffer {
    return this.#emulator.v86.save_state();
  }

  /** Takes over what `saveWhole` gave. Call before the first `run`. */
  restoreWhole(state: ArrayBuffer): void {
    clearTimeStampOffset(this.#emulator.v86.cpu);
    this.#emulator.v86.restore_state(state);
  }

  /** Forgets the guest's code that was compiled: it is compiled again when it is needed. */
  forgetCompiledCode(): void {
    this.#emulator.v86.cpu.jit_clear_cache();
  }

  async dispose(): Promise<void> {
    await this.pause();
    this.agentPort.dispose();
    this.serial.dispose();
    await this.#emulator.destroy();
    this.#endNap();
    for (const disk of [this.#disks.disk, this.#disks.cdrom]) disk?.close();
  }

  #become({ macAddress }: EmulatorIdentity, events: EmulatorEvents, disk: OverlayDisk | undefined): void {
    this.#events = events;
    this.#macAddress = parseMac(macAddress);
    this.#applyMac();
    this.#disk = disk;
  }

  #listen(acpi: boolean): void {
    const machine = this.#emulator.v86;
    const { cpu } = machine;
    this.#emulator.add_listener('cpu-event-halt', () => this.#events?.onHalt());
    const control = cpu.io.ports[PM1A_CONTROL_PORT];
    if (acpi && control) {
      const write = control.write16;
      control.write16 = (value) => {
        write.call(cpu.devices.acpi, value);
        if (value & SLEEP_ENABLE) this.#events?.onHalt();
      };
    }
    // Upstream would run the BIOS again over a RAM that no longer holds the kernel it had put there.
    let rebooting = false;
    cpu.reboot_internal = () => {
      machine.stop();
      if (!rebooting) setImmediate(() => this.#events?.onReboot());
      rebooting = true;
    };
  }

  /** v86 makes up an address; the machine's own must be there before a driver reads it. */
  #applyMac(): void {
    const net = this.#emulator.v86.cpu.devices.virtio_net;
    if (net && this.#macAddress) net.mac = this.#macAddress;
  }
}

interface Disks {
  readonly disk: LateDisk | undefined;
  readonly cdrom: OverlayDisk | undefined;
}

function plugDisks(media: BootMedia): Disks {
  return {
    disk: media.disk === undefined ? undefined : new LateDisk(media.disk),
    cdrom: media.cdrom === undefined ? undefined : new OverlayDisk(media.cdrom),
  };
}

/** Without a command line the machine gets no kernel: it will be restored. */
async function v86Options(hardware: EmulatorHardware, { disk, cdrom }: Disks, commandLine: string | undefined): Promise<V86Options> {
  const { media, firmware, memoryMiB, acpi, balloon } = hardware;
  const module = v86Module();
  const [bios, vgaBios, floppy] = await Promise.all([
    fileBuffer(firmware.biosPath),
    fileBuffer(firmware.vgaBiosPath),
    media.floppy === undefined ? undefined : fileBuffer(media.floppy),
  ]);
  const options: V86Options & { readonly hda?: V86Disk; readonly cdrom?: V86Disk } = {
    wasm_fn: async (imports) => (await WebAssembly.instantiate(await module, imports)).exports,
    bios: { buffer: bios },
    vga_bios: { buffer: vgaBios },
    memory_size: memoryMiB * MIB,
    vga_memory_size: VGA_MEMORY_BYTES,
    autostart: false,
    acpi,
    fastboot: true,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
    net_device: { type: 'virtio' },
    virtio_console: { type: 'none' },
    virtio_balloon: balloon,
    ...(disk ? { hda: disk as never } : {}),
    ...(cdrom ? { cdrom: cdrom as never } : {}),
    ...(floppy ? { fda: { buffer: floppy } } : {}),
  };
  if (commandLine === undefined) return options;
  if (media.kernel !== undefined) {
    options.bzimage = { buffer: bootable(await fileBuffer(media.kernel), isLinuxKernel, 'the kernel is no Linux bzImage') };
    options.cmdline = commandLine;
    if (media.initrd !== undefined) {
      const initrd = await fileBuffer(media.initrd);
      const neededMiB = Math.ceil((INITRD_ADDRESS + initrd.byteLength) / MIB);
      if (memoryMiB < neededMiB) {
        throw new Unbootable(`the image’s initrd needs at least ${neededMiB}Mi of memory; the machine has ${memoryMiB}Mi`);
      }
      options.initrd = { buffer: initrd };
    }
  }
  if (media.multiboot !== undefined) {
    options.multiboot = { buffer: bootable(await fileBuffer(media.multiboot), isMultiboot, 'the kernel has no multiboot header') };
    options.cmdline = commandLine;
  }
  return options;
}

/** v86 ignores what it cannot boot, and the BIOS then finds nothing: better said before. */
function bootable(buffer: ArrayBuffer, check: (bytes: DataView) => boolean, refusal: string): ArrayBuffer {
  if (!check(new DataView(buffer))) throw new Unbootable(refusal);
  return buffer;
}

/** Source: Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header": `HdrS` at 0x202. */
function isLinuxKernel(bytes: DataView): boolean {
  return bytes.byteLength > 0x206 && bytes.getUint32(0x202, true) === 0x53726448;
}

/** Source: Multiboot 0.6.96, 3.1.1: an aligned magic in the first 8 KiB, where it and two words after it sum to zero. */
function isMultiboot(bytes: DataView): boolean {
  const end = Math.min(8192, bytes.byteLength) - 12;
  for (let at = 0; at <= end; at += 4) {
    const [magic, flags, checksum] = [0, 4, 8].map((offset) => bytes.getUint32(at + offset, true));
    if (magic === 0x1badb002 && ((magic + (flags ?? 0) + (checksum ?? 0)) >>> 0) === 0) return true;
  }
  return false;
}

/** Upstream makes its own screen on the way; ours has to be in place before the VGA device first draws. */
function interceptScreen(emulator: V86Emulator, screen: Screen): void {
  let adopted: V86Emulator['screen_adapter'] | undefined;
  Object.defineProperty(emulator, 'screen_adapter', {
    get: () => adopted,
    set: (adapter: V86Emulator['screen_adapter']) => {
      adopted = screen.adopt(adapter);
    },
  });
}

async function fileBuffer(path: string): Promise<ArrayBuffer> {
  const bytes = await readFile(path);
  return bytes.byteLength === bytes.buffer.byteLength
    ? (bytes.buffer as ArrayBuffer)
    : new Uint8Array(bytes).buffer;
}

function parseMac(address: string): Uint8Array {
  return Uint8Array.from(address.split(':'), (part) => Number.parseInt(part, 16));
}
