import type { V86Cpu } from './v86.internals.ts';

/** The BIOS area, the only part of a fresh machine's RAM that is not zero. */
const FIRMWARE_BYTES = 1024 * 1024;

/**
 * Where the guest's memory lies in this process: inside v86's WebAssembly memory. Every view is made anew and must be used at once:
 * any call into the machine may make that memory grow, which detaches views; the bytes stay at their addresses.
 */
export class GuestMemory {
  readonly #cpu: V86Cpu;

  constructor(cpu: V86Cpu) {
    this.#cpu = cpu;
  }

  get sizeBytes(): number {
    return this.#cpu.memory_size[0] ?? 0;
  }

  /** RAM, then screen memory: the order of a machine's page numbers. Each begins at a page. */
  regions(): readonly Uint8Array[] {
    return [this.#view(this.#ramAt, this.sizeBytes), this.#view(this.#screenAt, this.#screenBytes)];
  }

  /** Makes a machine that never ran all zero, so that pages a snapshot does not mention are. */
  clear(): void {
    this.#view(this.#ramAt, FIRMWARE_BYTES).fill(0);
  }

  /** What v86 holds behind the guest's memory: its code. */
  behind(): Uint8Array {
    const end = Math.max(this.#ramAt + this.sizeBytes, this.#screenAt + this.#screenBytes);
    return this.#view(end, this.#cpu.wasm_memory.buffer.byteLength - end);
  }

  get #ramAt(): number {
    return this.#cpu.mem8.byteOffset;
  }

  get #screenAt(): number {
    return this.#cpu.devices.vga.svga_memory.byteOffset;
  }

  get #screenBytes(): number {
    return this.#cpu.devices.vga.vga_memory_size;
  }

  /** v86's own views are Proxies. */
  #view(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#cpu.wasm_memory.buffer, at, length);
  }
}
