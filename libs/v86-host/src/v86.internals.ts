/**
 * What Corral touches inside upstream v86 0.5.462. Upstream's own types end at the constructor's public methods; the
 * names below are properties its release build keeps. Everything here may change with v86, which is why the v86 build
 * id is part of every snapshot.
 */
/** The object the VGA device draws on. */
export interface ScreenAdapter {
  FLAG_BLINKING: number;
  FLAG_FONT_PAGE_B: number;
  put_char(row: number, column: number, code: number, flags: number, background: number, foreground: number): void;
  set_mode(graphical: boolean): void;
  set_size_text(columns: number, rows: number): void;
  set_size_graphical(width: number, height: number, virtualWidth: number, virtualHeight: number): void;
  set_font_bitmap(
    height: number,
    nineWide: boolean,
    doubleWide: boolean,
    copyEighthColumn: boolean,
    bitmap: Uint8Array,
    changed: boolean,
  ): void;
  set_font_page(pageA: number, pageB: number): void;
  update_cursor(row: number, column: number): void;
  update_cursor_scanline(start: number, end: number, visible: boolean): void;
  update_buffer(): void;
  clear_text_state(): void;
}

export interface VirtQueue {
  is_configured(): boolean;
  has_request(): boolean;
}

export type VirtQueueClass = new (cpu: V86Cpu, device: unknown, options: { readonly size_supported: number; readonly notify_offset: number }) => VirtQueue;

interface VirtioBalloon {
  readonly virtio: {
    readonly queues: VirtQueue[];
    readonly device_feature: Uint32Array;
    readonly driver_feature: Uint32Array;
  };
}

interface VirtioConsole {
  readonly virtio: { readonly queues: readonly VirtQueue[] };
  SendEvent(port: number, event: number, value: number): void;
  SendName(port: number, name: string): void;
}

/** What one I/O port does. The functions are called on the device. */
export interface IoPort {
  read8: (port: number) => number;
  read16: (port: number) => number;
  read32: (port: number) => number;
  write8: (value: number) => void;
  write16: (value: number) => void;
  write32: (value: number) => void;
  device: unknown;
}

export interface IoPorts {
  readonly ports: IoPort[];
  create_empty_entry(): IoPort;
  register_read(port: number, device: unknown, ...handlers: ((port: number) => number)[]): void;
  register_write(port: number, device: unknown, ...handlers: ((value: number) => void)[]): void;
}

interface Vga {
  readonly graphical_mode: boolean;
  readonly screen_width: number;
  readonly screen_height: number;
  readonly virtual_width: number;
  readonly svga_enabled: boolean;
  readonly layers: readonly { readonly screen_x: number; readonly buffer_y: number }[];
  /** Upstream's spelling. */
  readonly dest_buffet_offset: number;
  readonly svga_memory: Uint8Array;
  readonly vga_memory_size: number;
  get_state(): unknown[];
  screen_fill_buffer(): void;
}

export interface V86Cpu {
  readonly wasm_memory: WebAssembly.Memory;
  readonly mem8: Uint8Array;
  readonly memory_size: Int32Array;
  readonly current_tsc: Uint32Array;
  readonly io: IoPorts;
  readonly devices: {
    readonly pit: { timer(now: number, noIrq: boolean): number; readonly counter_enabled: ArrayLike<number> };
    readonly rtc: {
      timer(now: number, legacy: boolean): number;
      readonly periodic_interrupt: boolean;
      readonly next_interrupt_alarm: number;
      readonly update_interrupt: boolean;
    };
    readonly acpi?: { timer(now: number): number; readonly pm1_enable: number };
    readonly vga: Vga;
    readonly uart0: { readonly input: readonly number[] };
    readonly virtio_console: VirtioConsole;
    readonly virtio_net?: { mac: Uint8Array };
    readonly virtio_balloon?: VirtioBalloon;
  };
  store_current_tsc(): void;
  set_tsc(low: number, high: number): void;
  /** One slice of the guest; says how long it may nap. */
  main_loop(): number;
  set_jit_config(index: number, value: number): void;
  jit_clear_cache(): void;
  /** Forgets code compiled from a range of addresses. */
  jit_dirty_cache(start: number, end: number): void;
  zero_memory(address: number, byteLength: number): void;
  apic_timer(now: number): number;
  run_hardware_timers(acpiEnabled: boolean, now: number): number;
  reboot_internal(): void;
  pack_memory(): { readonly packed_memory: Uint8Array; readonly bitmap: { get_buffer(): ArrayBuffer } };
  unpack_memory(): void;
}

/** The emulator's main loop. */
export interface V86Machine {
  readonly cpu: V86Cpu;
  readonly running: boolean;
  run(): void;
  stop(): void;
  next_tick(milliseconds: number): void;
  yield(milliseconds: number, tick: number): void;
  yield_callback(tick: number): void;
  save_state(): ArrayBuffer;
  restore_state(state: ArrayBuffer): void;
}

/** What `new V86()` gives. */
export interface V86Emulator {
  readonly v86: V86Machine;
  screen_adapter: ScreenAdapter;
  /** This side of the bus reaches the devices. */
  readonly bus: { send(event: string, value?: unknown): void };
  add_listener(event: string, listener: (value: never) => void): void;
  remove_listener(event: string, listener: (value: never) => void): void;
  get_instruction_counter(): number;
  destroy(): Promise<void>;
}

/** What v86 asks of a disk or CD-ROM: bytes by position, with callbacks. */
export interface V86Disk {
  readonly byteLength: number;
  onload: (() => void) | undefined;
  load(): void;
  get(start: number, length: number, done: (bytes: Uint8Array) => void): void;
  get_and_cache(start: number, length: number, done: (bytes: Uint8Array) => void): void;
  get_from_cache(start: number, length: number): Uint8Array;
  set(start: number, bytes: Uint8Array, done: () => void): void;
  get_buffer(done: (buffer?: ArrayBuffer) => void): void;
  get_state(): unknown[];
  set_state(state: unknown): void;
}
