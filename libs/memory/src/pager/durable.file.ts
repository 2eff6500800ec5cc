import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PAGE_BYTES } from '../machine-pages.ts';

/**
 * The copy of last resort: packed pages in a file without a name, each where its number says. It lives as long as the
 * process, which is as long as anybody needs it. Only ever read and written synchronously: the thread pool belongs to the
 * machine's thread, which may be waiting for a page.
 */
export class DurableFile {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** In a folder of the machine's own. Throws what the file system says. */
  static create(folder: string): DurableFile {
    const path = join(folder, 'swap');
    const fd = openSync(path, 'w+', 0o600);
    unlinkSync(path);
    return new DurableFile(fd);
  }

  static of(fd: number): DurableFile {
    return new DurableFile(fd);
  }

  /** False where the disk does not take it: the page then stays where it is. */
  write(page: number, packed: Uint8Array): boolean {
    try {
      return writeSync(this.fd, packed, 0, packed.byteLength, page * PAGE_BYTES) === packed.byteLength;
    } catch {
      return false;
    }
  }

  /** False where the bytes are not there. */
  read(page: number, into: Uint8Array): boolean {
    try {
      return readSync(this.fd, into, 0, into.byteLength, page * PAGE_BYTES) === into.byteLength;
    } catch {
      return false;
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}
