import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Snapshots that were taken and are on their way to the object store, each in a folder of its own. */
export class Spool {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Removes what an earlier node agent left: the moments it holds are of machines that are gone. */
  async open(): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
  }

  pathOf(uid: string): string {
    return join(this.#root, uid);
  }

  /** An empty folder for a snapshot. */
  async begin(uid: string): Promise<string> {
    await this.remove(uid);
    await mkdir(this.pathOf(uid), { mode: 0o700 });
    return this.pathOf(uid);
  }

  async remove(uid: string): Promise<void> {
    await rm(this.pathOf(uid), { recursive: true, force: true });
  }
}
