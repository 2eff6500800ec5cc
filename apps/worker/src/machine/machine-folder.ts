import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StoredArtifact } from '@corral/contracts';
import { z } from 'zod';

/** What a machine was made of when it first started: a later version of its image must not change the disk under it. */
export const MachineRecord = z.object({
  image: z.string(),
  imageDigest: z.string(),
  memoryMiB: z.number().int(),
  commandLine: z.string(),
  guestAgent: z.boolean(),
  acpi: z.boolean(),
  artifacts: z.record(z.string(), StoredArtifact),
});
export type MachineRecord = z.output<typeof MachineRecord>;

/** The folder of one machine on this node: its record, its disk overlay, its suspended state, its process's log. */
export class MachineFolder {
  readonly path: string;

  constructor(root: string, uid: string) {
    this.path = join(root, uid);
  }

  get suspendedPath(): string {
    return join(this.path, 'suspended');
  }

  get logPath(): string {
    return join(this.path, 'process.log');
  }

  async create(): Promise<void> {
    await mkdir(this.path, { recursive: true, mode: 0o700 });
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  async record(): Promise<MachineRecord | undefined> {
    const text = await readFile(join(this.path, 'record.json'), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : MachineRecord.parse(JSON.parse(text));
  }

  async writeRecord(record: MachineRecord): Promise<void> {
    await this.create();
    const temporary = join(this.path, 'record.json.tmp');
    await writeFile(temporary, JSON.stringify(record), { mode: 0o600 });
    await rename(temporary, join(this.path, 'record.json'));
  }

  /** Whether a suspended state lies here, whole: it gets its name only when it is. */
  async hasSuspended(): Promise<boolean> {
    return (await stat(this.suspendedPath).catch(() => undefined))?.isDirectory() ?? false;
  }

  /** An empty folder to write a suspended state into. */
  async beginSuspended(): Promise<string> {
    const path = `${this.suspendedPath}.tmp`;
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { recursive: true, mode: 0o700 });
    return path;
  }

  async commitSuspended(): Promise<void> {
    await this.discardSuspended();
    await rename(`${this.suspendedPath}.tmp`, this.suspendedPath);
  }

  async discardSuspended(): Promise<void> {
    await rm(this.suspendedPath, { recursive: true, force: true });
  }

  /**
   * Moves what the guest wrote to its disk out of the way of a snapshot, which brings its own. It is not removed until the
   * snapshot runs: should that fail, it is all there is.
   */
  async setDiskAside(): Promise<void> {
    for (const name of DISK_OVERLAY_FILES)
      await rename(join(this.path, name), join(this.path, `${name}.aside`)).catch(ignoreMissing);
  }

  async putDiskBack(): Promise<void> {
    for (const name of DISK_OVERLAY_FILES)
      await rename(join(this.path, `${name}.aside`), join(this.path, name)).catch(ignoreMissing);
  }

  async dropDiskAside(): Promise<void> {
    for (const name of DISK_OVERLAY_FILES) await rm(join(this.path, `${name}.aside`), { force: true });
  }

  /** Whether the guest has written to its disk. */
  async hasWrittenDisk(): Promise<boolean> {
    const overlay = await stat(join(this.path, DISK_OVERLAY_FILE)).catch(() => undefined);
    return (overlay?.size ?? 0) > 0;
  }
}

/** Where the VM process keeps the clusters its guest wrote, and their index. */
const DISK_OVERLAY_FILE = 'disk.overlay';
const DISK_OVERLAY_FILES = [DISK_OVERLAY_FILE, `${DISK_OVERLAY_FILE}.index`];

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

/** Uids of the machines that have a folder. */
export async function machineFolders(root: string): Promise<string[]> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  return readdir(root);
}
