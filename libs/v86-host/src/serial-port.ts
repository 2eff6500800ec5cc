import type { V86Emulator } from './v86.internals.ts';

/** v86 keeps the guest's unread serial input in an unbounded array; it is fed no faster than this. */
const UART_BACKLOG_BYTES = 64;
const RETRY_MS = 5;

/** COM1. v86 tells of every byte by itself; here they come in the batches of one turn of the event loop. */
export class SerialPort {
  onBytes: (bytes: Uint8Array) => void = () => undefined;
  readonly #emulator: V86Emulator;
  #batch: number[] = [];
  #input: { readonly bytes: Uint8Array; sent: number; readonly taken: () => void }[] = [];
  #feeding: NodeJS.Timeout | undefined;

  constructor(emulator: V86Emulator) {
    this.#emulator = emulator;
    emulator.add_listener('serial0-output-byte', (byte: number) => {
      if (this.#batch.push(byte) === 1) setImmediate(() => this.#deliver());
    });
  }

  /** Types bytes into the port; resolves when the guest has all but the last few, which is when to send more. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((taken) => {
      this.#input.push({ bytes, sent: 0, taken });
      this.#feed();
    });
  }

  dispose(): void {
    clearTimeout(this.#feeding);
    this.onBytes = () => undefined;
    for (const { taken } of this.#input.splice(0)) taken();
  }

  #deliver(): void {
    const bytes = Uint8Array.from(this.#batch);
    this.#batch = [];
    this.onBytes(bytes);
  }

  #feed(): void {
    clearTimeout(this.#feeding);
    const backlog = this.#emulator.v86.cpu.devices.uart0.input;
    for (let next = this.#input[0]; next; next = this.#input[0]) {
      while (next.sent < next.bytes.length && backlog.length < UART_BACKLOG_BYTES) {
        this.#emulator.bus.send('serial0-input', next.bytes[next.sent]);
        next.sent += 1;
      }
      if (next.sent < next.bytes.length) {
        this.#feeding = setTimeout(() => this.#feed(), RETRY_MS);
        return;
      }
      this.#input.shift();
      next.taken();
    }
  }
}
