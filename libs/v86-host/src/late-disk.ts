import { statSync } from 'node:fs';
import { OverlayDisk } from './disk.ts';
import type { V86Disk } from './v86.internals.ts';

/**
 * A disk that is plugged in before anybody knows whose it will be: its size is known at once, its clusters when it is
 * opened with the overlay of a machine. Nothing may read it before.
 */
export class LateDisk implements V86Disk {
  readonly byteLength: number;
  onload: (() => void) | undefined;
  readonly #basePath: string;
  #disk: OverlayDisk | undefined;

  constructor(basePath: string) {
    this.#basePath = basePath;
    this.byteLength = statSync(basePath).size;
  }

  open(overlayPath: string): OverlayDisk {
    this.#disk = new OverlayDisk(this.#basePath, overlayPath);
    return this.#disk;
  }

  load(): void {
    this.onload?.();
  }

  get(start: number, length: number, done: (bytes: Uint8Array) => void): void {
    this.#opened().get(start, length, done);
  }

  get_and_cache(start: number, length: number, done: (bytes: Uint8Array) => void): void {
    this.#opened().get_and_cache(start, length, done);
  }

  get_from_cache(start: number, length: number): Uint8Array {
    return this.#opened().get_from_cache(start, length);
  }

  set(start: number, bytes: Uint8Array, done: () => void): void {
    this.#opened().set(start, bytes, done);
  }

  get_buffer(done: (buffer?: ArrayBuffer) => void): void {
    done();
  }

  /** Nothing: see OverlayDisk. */
  get_state(): unknown[] {
    return [];
  }

  set_state(): void {
    // See get_state.
  }

  #opened(): OverlayDisk {
    if (!this.#disk) throw new Error('the disk belongs to no machine yet');
    return this.#disk;
  }
}
