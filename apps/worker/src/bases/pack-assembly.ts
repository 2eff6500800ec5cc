import { randomUUID } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';

/**
 * A file put together from parts that come in any order. It only spares a second download: where the disk has no room for it, it is given
 * up, and nobody fails of that. Whether the parts are right is seen when it is taken into the cache.
 */
export class PackAssembly {
  readonly #path: string;
  #file: FileHandle | undefined;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Beside the place where it will lie. Throws what the file system says. */
  static async begin(path: string, sizeBytes: number): Promise<PackAssembly> {
    const partial = `${path}.${randomUUID()}.part`;
    const file = await open(partial, 'wx', 0o600);
    const assembly = new PackAssembly(partial, file);
    await file.truncate(sizeBytes).catch(async (error: unknown) => {
      await assembly.end(false);
      throw error;
    });
    return assembly;
  }

  async add(offset: number, bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; this.#file && at < bytes.length; ) at += (await this.#file.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
    } catch {
      await this.end(false);
    }
  }

  /** Path of the file, where it has every part; undefined, and no file, otherwise. */
  async end(isWhole: boolean): Promise<string | undefined> {
    const file = this.#file;
    this.#file = undefined;
    if (!file) return undefined;
    const isKept = isWhole && (await file.datasync().then(() => true, () => false));
    await file.close();
    if (!isKept) await rm(this.#path, { force: true });
    return isKept ? this.#path : undefined;
  }
}
