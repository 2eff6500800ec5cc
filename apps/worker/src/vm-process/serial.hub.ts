import { MAX_SERIAL_BYTES } from '@corral/memory';
import { Scrollback } from './scrollback.ts';

/** The serial line, shared: what the guest said lately, for any number of viewers, and what they type. */
export class SerialHub {
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly #scrollback = new Scrollback(MAX_SERIAL_BYTES);
  #restoredAt = 0;
  readonly #viewers = new Set<() => void>();

  constructor(write: (bytes: Uint8Array) => Promise<void>) {
    this.write = write;
  }

  /** Where the line was when the machine went on from a snapshot: whoever watched until then goes on from here. */
  get restoredAt(): number {
    return this.#restoredAt;
  }

  /** What was said before the moment the machine goes on from. */
  restore(said: Uint8Array): void {
    this.append(said);
    this.#restoredAt = this.end;
  }

  get end(): number {
    return this.#scrollback.end;
  }

  /** All that is still there of what was said: what a snapshot keeps, so that a machine from it has a past to show. */
  get tail(): Uint8Array {
    return this.#scrollback.since(0).bytes;
  }

  append(bytes: Uint8Array): void {
    this.#scrollback.append(bytes);
    for (const viewer of this.#viewers) viewer();
  }

  /** What was said after a position. A viewer that fell behind the scrollback goes on at its beginning. */
  since(position: number): { readonly bytes: Uint8Array; readonly end: number } {
    return this.#scrollback.since(position);
  }

  /** Calls whenever there is more to see; returns how to stop that. */
  watch(viewer: () => void): () => void {
    this.#viewers.add(viewer);
    return () => this.#viewers.delete(viewer);
  }
}
