import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseRam, SnapshotTaken, StartFrom } from '@corral/contracts';
import { type Layer, layersOf, packKey, PAGE_BYTES, PageSet, machinePages, SealedMemory, SealingFailed, SnapshotError, type SnapshotMachine, type SnapshotManifest, writeSnapshot } from '@corral/memory';
import { type PackCache, PackForged } from '../machine/pack-cache.ts';
import { keepTaken, mayLieOn } from '../snapshots/taken-snapshot.ts';
import { type FrozenRam, type FrozenState, LAYER_FILE, type OpenedFolder, packedPages, readFrozen } from './frozen-folder.ts';

/** A moment as a snapshot that others can have. */
export interface PackedMoment {
  /** Holds the manifest and what lies beside it. */
  readonly directory: string;
  readonly taken: SnapshotTaken;
  readonly manifest: SnapshotManifest;
  /** Whether it lies on what its source lay on: what began with the moment can build on it then. */
  readonly isAsPlanned: boolean;
}

const PACKED_DIRECTORY = 'packed';
const READ_PAGES = 64;

/**
 * What a machine of this node was at one moment, for others here to begin with. From being opened on, the node agent holds its pages: neither the machine
 * it is of, nor its process, is needed any more.
 */
export class FrozenMoment {
  readonly directory: string;
  readonly #state: FrozenState;
  readonly #owner: Owner;
  readonly #layer: HeldLayer | undefined;
  #packed: Promise<PackedMoment> | undefined;
  #manifest: SnapshotManifest | undefined;
  #isClosed = false;

  private constructor(directory: string, state: FrozenState, layer: HeldLayer | undefined, owner: Owner) {
    this.directory = directory;
    this.#state = state;
    this.#layer = layer;
    this.#owner = owner;
  }

  /**
   * Takes over what the process `pid` froze into a folder. A process that a guest has broken out into must not get at memory or packs of others by naming
   * them. Throws SnapshotError where it is not whole, and PackForged.
   */
  static async open(directory: string, { pid, ...owner }: Owner & { readonly pid: number }): Promise<FrozenMoment> {
    const { state } = await readChecked(directory, owner);
    return new FrozenMoment(directory, state, state.layer ? hold(state.layer, directory, pid) : undefined, owner);
  }

  get machine(): SnapshotMachine {
    return this.#state.machine;
  }

  get pauseMs(): number {
    return this.#state.pauseMs;
  }

  /** What machines that begin with it lie on, and their next snapshots build on, until they are told of a later one. */
  get liesOn(): Pick<SnapshotManifest, 'memory' | 'disk'> {
    const { memory, disk } = this.#state.lineage;
    return { memory: { layers: memory }, disk: { layers: disk } };
  }

  /** Every pack that it needs, its own included once that is written. */
  get layers(): readonly Layer[] {
    return layersOf(this.#manifest ?? this.liesOn);
  }

  /** Whether its pages lie over those of the lowest layer, which has to be mapped then. */
  get hasBase(): boolean {
    return this.#state.base !== null;
  }

  /** What a process is told that is to begin with it. Not once it is closed. */
  get from(): Extract<StartFrom, { type: 'Frozen' }> {
    return { type: 'Frozen', directory: this.directory, ...(this.#layer ? { layer: this.#layer.ram } : {}) };
  }

  /** The moment as a snapshot, written once, its packs among the node’s. Throws SnapshotError, also where there is no room, and where it was closed before. */
  packed(): Promise<PackedMoment> {
    this.#packed ??= this.#pack().catch((error: unknown) => {
      // The next try may find room.
      this.#packed = undefined;
      throw error;
    });
    return this.#packed;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Lets go of its pages: machines that have begun with it keep their mapping. What is being packed is given up. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#layer) closeSync(this.#layer.fd);
  }

  async #pack(): Promise<PackedMoment> {
    const { namespace, packs } = this.#owner;
    // Read again: nine megabytes are not kept for what is seldom wanted.
    const folder = await readChecked(this.directory, this.#owner);
    const { state, devices, said, clusters } = folder;
    const directory = join(this.directory, PACKED_DIRECTORY);
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { mode: 0o700 });
    const below = await this.#below(state);
    const isAsPlanned = below.length === state.plan.below.length;
    const { files, manifest } = await writeSnapshot(directory, {
      machine: state.machine,
      createdAt: new Date(state.createdAt),
      parent: state.lineage.parent,
      namespace,
      memory: { below, pieces: this.#pieces(folder, isAsPlanned) },
      devices,
      serial: said,
      ...(state.hasDisk ? { disk: { below: [], pieces: clusters() } } : {}),
    });
    const taken = { pauseMs: this.pauseMs, files, manifest };
    const kept = await keepTaken(directory, taken, namespace, packs);
    this.#manifest = kept;
    return { directory, taken, manifest: kept, isAsPlanned };
  }

  /** Layers that it can lie on: where a pack that was never stored is gone from here, too, only the lowest. Throws SnapshotError where that is gone as well. */
  async #below({ plan, base }: FrozenState): Promise<readonly Layer[]> {
    const { namespace, packs } = this.#owner;
    const lost = new Set(await packs.lostOf(plan.below.filter(({ key, sha256 }) => key === packKey(namespace, sha256))));
    const [lowest] = plan.below;
    if (lost.size === 0 || !lowest) return plan.below;
    if (!lost.has(lowest.sha256)) return [lowest];
    if (base === null) return [];
    throw new SnapshotError('SnapshotUnreadable', 'the base that the moment lies on is gone');
  }

  *#pieces(folder: OpenedFolder, isAsPlanned: boolean): Generator<{ readonly number: number; readonly bytes: Uint8Array }> {
    const { pages } = folder;
    const bound = machinePages(this.machine.memoryMiB);
    const wanted = isAsPlanned ? packedPages(folder, bound) : PageSet.of(bound, pages);
    for (let from = 0; from < pages.length; from += READ_PAGES) {
      const numbers = pages.subarray(from, from + READ_PAGES);
      if (!numbers.some((number) => wanted.has(number))) continue;
      const bytes = this.#read(from, numbers.length);
      for (const [at, number] of numbers.entries()) if (wanted.has(number)) yield { number, bytes: bytes.subarray(at * PAGE_BYTES, (at + 1) * PAGE_BYTES) };
    }
  }

  #read(from: number, count: number): Uint8Array {
    // Its number may be another file's by now.
    if (this.#isClosed || !this.#layer) throw new SnapshotError('SnapshotUnreadable', 'the moment is over');
    const bytes = new Uint8Array(count * PAGE_BYTES);
    if (readSync(this.#layer.fd, bytes, 0, bytes.length, from * PAGE_BYTES) !== bytes.length) throw new SnapshotError('SnapshotUnreadable', 'the frozen pages end early');
    return bytes;
  }
}

/** Whose machine it is of, and where its packs go. */
interface Owner {
  readonly namespace: string;
  readonly packs: PackCache;
}

async function readChecked(directory: string, { namespace }: Owner): Promise<OpenedFolder> {
  const folder = await readFrozen(directory);
  const { state, pages, layered, unsaved } = folder;
  const { lineage, plan, base, machine } = state;
  const foreign = [...lineage.memory, ...lineage.disk, ...plan.below].find((layer) => !mayLieOn(layer, namespace));
  if (foreign) throw new PackForged(`the frozen machine lies on ${foreign.key}, which is not ${namespace}’s`);
  if (base !== null && lineage.memory[0]?.sha256 !== base) throw new PackForged('the frozen machine lies on another base than it says');
  const bound = machinePages(machine.memoryMiB);
  if ([pages, layered, unsaved].some((numbers) => !isAscendingBelow(numbers, bound))) throw new PackForged('the frozen machine has pages that it cannot have');
  return folder;
}

interface HeldLayer {
  readonly fd: number;
  /** Good while this process holds it. */
  readonly ram: BaseRam;
}

function hold(layer: FrozenRam, directory: string, pid: number): HeldLayer {
  if (layer.type === 'File') {
    const path = join(directory, LAYER_FILE);
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    if (layer.path === path && fstatSync(fd).size === layer.sizeBytes) return { fd, ram: layer };
    closeSync(fd);
    throw new PackForged('the frozen pages are another file than they should be');
  }
  if (!layer.path.startsWith(`/proc/${pid}/fd/`)) throw new PackForged('the frozen pages are memory of another process');
  try {
    const fd = SealedMemory.open(layer);
    return { fd, ram: { ...layer, path: `/proc/${process.pid}/fd/${fd}` } };
  } catch (error) {
    if (!(error instanceof SealingFailed)) throw error;
    throw new SnapshotError('SnapshotUnreadable', `the frozen machine’s pages cannot be had: ${error.message}`, { cause: error });
  }
}

const isAscendingBelow = (numbers: Uint32Array, bound: number): boolean => numbers.every((number, at) => number < bound && (at === 0 || number > (numbers[at - 1] ?? 0)));
