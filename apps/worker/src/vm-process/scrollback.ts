/** The last bytes of an endless stream, by position in the stream. */
export class Scrollback {
  readonly #ring: Uint8Array;
  #end = 0;

  constructor(capacityBytes: number) {
    this.#ring = new Uint8Array(capacityBytes);
  }

  /** Position after the last byte. */
  get end(): number {
    return this.#end;
  }

  append(bytes: Uint8Array): void {
    const kept = bytes.subarray(Math.max(0, bytes.length - this.#ring.length));
    this.#end += bytes.length - kept.length;
    const at = this.#end % this.#ring.length;
    const first = kept.subarray(0, this.#ring.length - at);
    this.#ring.set(first, at);
    this.#ring.set(kept.subarray(first.length), 0);
    this.#end += kept.length;
  }

  /** A copy of what follows a position; starts later when those bytes are gone. */
  since(position: number): { readonly bytes: Uint8Array; readonly end: number } {
    const start = Math.max(position, this.#end - this.#ring.length, 0);
    const bytes = new Uint8Array(Math.max(0, this.#end - start));
    const at = start % this.#ring.length;
    const first = this.#ring.subarray(at, at + bytes.length);
    bytes.set(first);
    bytes.set(this.#ring.subarray(0, bytes.length - first.length), first.length);
    return { bytes, end: this.#end };
  }
}
