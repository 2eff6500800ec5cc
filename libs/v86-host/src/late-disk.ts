import { OverlayDisk } from './disk.ts';
import type { V86Disk } from './v86.internals.ts';

/**
 * A disk that is plugged in before anybody knows whose it will be: until it is opened with the overlay of a machine it is
 * the image's, and cannot be written to.
 */
export class LateDisk implements V86Disk {
  readonly byteLength: number;
  onload: (() => void) | undefined;
  readonly #basePath: string;
  #disk: OverlayDisk;

  constructor(basePath: string) {
    this.#basePath = basePath;
    this.#disk = new OverlayDisk(basePath);
    this.byteLength = this.#disk.byteLength;
  }

  open(overlayPath: string): OverlayDisk {
    this.#disk.close();
    this.#disk = new OverlayDisk(this.#basePath, overlayPath);
    return this.#disk;
  }

  close(): void {
    this.#disk.close();
  }

  load(): void {
    this.onload?.();
  }

  get(start: number, length: number, done: (bytes: Uint8Array) => void): void {
    this.#disk.get(start, length, done);
  }

  get_and_cache(start: number, length: number, done: (bytes: Uint8Array) => void): void {
    this.#disk.get_and_cache(start, length, done);
  }

  get_from_cache(start: number, length: number): Uint8Array {
    return this.#disk.get_from_cache(start, length);
  }

  set(start: number, bytes: Uint8Array, done: () => void): void {
    this.#disk.set(start, bytes, done);
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
}
