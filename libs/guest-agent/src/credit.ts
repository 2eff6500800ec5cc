/** The agent takes no more than this unconfirmed (docs/guest-agent.md); a guest that grants more is not believed. */
const MAX_SEND_WINDOW_BYTES = 65_536;
/** What a frame costs to keep beside its payload, and how many times its window a reader may cost: tiny frames are honest, heaps of them are not. */
const FRAME_COST_BYTES = 64;
const COST_WINDOWS = 4;

/** The right to send: how many bytes the other side still takes, and a wait for more. */
export class SendWindow {
  #bytes: number;
  #wake: (() => void) | undefined;
  #failure: Error | undefined;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  add(bytes: number): void {
    this.#bytes = Math.min(this.#bytes + bytes, MAX_SEND_WINDOW_BYTES);
    this.#wakeUp();
  }

  /** Every wait, now and later, rejects with this. */
  fail(failure: Error): void {
    this.#failure ??= failure;
    this.#wakeUp();
  }

  /** Takes up to `most` bytes of the window, waiting until there is at least one. One waiter at a time. */
  async take(most: number): Promise<number> {
    while (this.#bytes <= 0 && !this.#failure) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure) throw this.#failure;
    const taken = Math.min(most, this.#bytes);
    this.#bytes -= taken;
    return taken;
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/**
 * What the other side may still send. What was consumed is granted again in steps of half the window, so that it never
 * waits for a small frame.
 */
export class ReceiveWindow {
  readonly #stepBytes: number;
  readonly #maxCostBytes: number;
  readonly #grant: (bytes: number) => void;
  #allowedBytes: number;
  #owedBytes = 0;
  #costBytes = 0;

  constructor(windowBytes: number, grant: (bytes: number) => void) {
    this.#stepBytes = windowBytes / 2;
    this.#allowedBytes = windowBytes;
    this.#maxCostBytes = windowBytes * COST_WINDOWS;
    this.#grant = grant;
  }

  /** Whether a frame of these bytes was granted and can be kept. Who sends more is no agent, and its bytes must not be kept. */
  accepts(bytes: number): boolean {
    this.#allowedBytes -= bytes;
    this.#costBytes += Math.max(bytes, FRAME_COST_BYTES);
    return this.#allowedBytes >= 0 && this.#costBytes <= this.#maxCostBytes;
  }

  /** A frame that was accepted is kept no longer. */
  consumed(bytes: number): void {
    this.#costBytes -= Math.max(bytes, FRAME_COST_BYTES);
    this.#owedBytes += bytes;
    if (this.#owedBytes < this.#stepBytes) return;
    this.#allowedBytes += this.#owedBytes;
    this.#grant(this.#owedBytes);
    this.#owedBytes = 0;
  }
}

export function encodeCredit(bytes: number): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, bytes, true);
  return payload;
}

export function decodeCredit(payload: Uint8Array): number {
  return payload.length < 4 ? 0 : new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
}
