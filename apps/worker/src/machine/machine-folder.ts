import { link, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageParts, type SnapshotTaken, VM_CLASSES } from '@corral/contracts';
import { decodeManifest, MANIFEST_FILE, type SnapshotManifest } from '@corral/memory';
import { z } from 'zod';
import { isOverlayWritten, settleOverlay } from '../disk-overlay.ts';

/** What a machine was made of when it first started: a later version of its image must not change the disk under it. */
export const MachineRecord = ImageParts.extend({
  image: z.string(),
  imageDigest: z.string(),
  memoryMiB: z.number().int(),
  /** Of a machine that names none. */
  class: z.enum(VM_CLASSES).optional(),
});
export type MachineRecord = z.output<typeof MachineRecord>;

/** Written into every record, so that a node agent of another version knows one it cannot read. */
const RECORD_VERSION = 1;
const StoredRecord = MachineRecord.extend({ version: z.literal(RECORD_VERSION).default(RECORD_VERSION) });

/** There is a record, and this version cannot read it. */
export class RecordUnreadable extends Error {
  override readonly name = 'RecordUnreadable';
}

export const imagePartsOf = ({ artifacts, commandLine, guestAgent, acpi }: MachineRecord): ImageParts => ({
  artifacts,
  commandLine,
  guestAgent,
  acpi,
});

/** The folder of one machine on this node: its record, its disk overlay, its suspended state, its process's log. */
export class MachineFolder {
  readonly path: string;

  constructor(root: string, uid: string) {
    this.path = join(root, uid);
  }

  get suspendedPath(): string {
    return join(this.path, 'suspended');
  }

  get #takenPath(): string {
    return join(this.path, 'suspended.json');
  }

  /** What a sleeping machine last showed. */
  get screenPath(): string {
    return join(this.path, 'screen');
  }

  get logPath(): string {
    return join(this.path, 'process.log');
  }

  /** What lies here goes on as another machine's, under its name; nothing happens where nothing lies. */
  async become(other: MachineFolder): Promise<void> {
    await rename(this.path, other.path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    });
  }

  async create(): Promise<void> {
    await mkdir(this.path, { recursive: true, mode: 0o700 });
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  /** Throws RecordUnreadable. */
  async record(): Promise<MachineRecord | undefined> {
    const text = await readFile(join(this.path, 'record.json'), 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    try {
      return StoredRecord.parse(JSON.parse(text));
    } catch (cause) {
      throw new RecordUnreadable('The machine’s record was written by another version of Corral', { cause });
    }
  }

  async writeRecord(record: MachineRecord): Promise<void> {
    await this.create();
    const temporary = join(this.path, 'record.json.tmp');
    await writeFile(temporary, JSON.stringify({ version: RECORD_VERSION, ...record }), { mode: 0o600 });
    await rename(temporary, join(this.path, 'record.json'));
  }

  /** Whether a suspended state lies here, whole: it gets its name only when it is. */
  async hasSuspended(): Promise<boolean> {
    return (await stat(this.suspendedPath).catch(() => undefined))?.isDirectory() ?? false;
  }

  /** What the suspended state is made of; undefined where there is none that can be read. */
  async suspendedManifest(): Promise<SnapshotManifest | undefined> {
    try {
      return decodeManifest(await readFile(join(this.suspendedPath, MANIFEST_FILE)));
    } catch {
      return undefined;
    }
  }

  /** An empty folder to write a suspended state into. */
  async beginSuspended(): Promise<string> {
    const path = `${this.suspendedPath}.tmp`;
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** An empty folder for what the machine shows. */
  async beginScreen(): Promise<string> {
    await rm(this.screenPath, { recursive: true, force: true });
    await mkdir(this.screenPath, { recursive: true, mode: 0o700 });
    return this.screenPath;
  }

  /** `taken` says what it consists of, for whoever wants a snapshot of a machine that has no process. */
  async commitSuspended(taken: SnapshotTaken | undefined): Promise<void> {
    await this.discardSuspended();
    if (taken) await writeFile(this.#takenPath, JSON.stringify(taken), { mode: 0o600 });
    await rename(`${this.suspendedPath}.tmp`, this.suspendedPath);
  }

  /** Puts the suspended state into another folder, as a snapshot whose packs this node holds; undefined when there is none that says what it consists of. */
  async copySuspended(directory: string): Promise<{ readonly taken: SnapshotTaken; readonly manifest: SnapshotManifest } | undefined> {
    const [text, manifest] = await Promise.all([readFile(this.#takenPath, 'utf8').catch(() => undefined), this.suspendedManifest()]);
    if (text === undefined || !manifest) return undefined;
    // Neither is ever written again, so two names for the same bytes will do.
    for (const name of await readdir(this.suspendedPath)) await link(join(this.suspendedPath, name), join(directory, name));
    return { taken: JSON.parse(text) as SnapshotTaken, manifest };
  }

  async discardSuspended(): Promise<void> {
    await rm(this.suspendedPath, { recursive: true, force: true });
    await rm(this.#takenPath, { force: true });
  }

  /** Leaves a whole disk behind whatever a process was doing when it ended. */
  async settleDisk(): Promise<void> {
    await settleOverlay(this.path);
  }

  /** Whether the guest has written to its disk. */
  hasWrittenDisk(): Promise<boolean> {
    return isOverlayWritten(this.path);
  }
}

/** Uids of the machines that have a folder. */
export async function machineFolders(root: string): Promise<string[]> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  return readdir(root);
}
