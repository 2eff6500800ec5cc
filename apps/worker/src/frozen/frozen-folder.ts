import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { flag, integer, list, nullable, number, object, oneOf, type ShapeOf, tagged, text } from '@corral/base/shape';
import { Layer, PAGE_BYTES, PageSet, Sha256, SnapshotError, SnapshotMachine, Timestamp } from '@corral/memory';

/** Written last: without it there is no frozen state. */
const FROZEN_FILE = 'frozen.json';
const DEVICES_FILE = 'devices';
const SERIAL_FILE = 'serial';
const CLUSTERS_FILE = 'clusters.data';
const PIECES_PER_TURN = 512;

/** Where the pages lie that differ from the base, where the host has no memory without a name. Read-only from the beginning. */
export const LAYER_FILE = 'layer';

const sizeBytes = integer({ min: 1 });
const Ram = tagged({
  Sealed: object({ path: text({ pattern: /^\/proc\/\d+\/fd\/\d+$/ }), inode: integer(), sizeBytes }),
  File: object({ path: text(), sizeBytes }),
});
export type FrozenRam = ShapeOf<typeof Ram>;
const Layers = list(Layer, { max: 64 });

const FrozenState = object({
  createdAt: Timestamp,
  pauseMs: number({ above: -1 }),
  machine: SnapshotMachine,
  /** Of the pack whose pages were mapped below everything; null where there was none. */
  base: nullable(Sha256),
  /** Where the pages lie that differ from the base; null where none does. */
  layer: nullable(Ram),
  lineage: object({ parent: nullable(Sha256), memory: Layers, disk: Layers }),
  /** How a snapshot of this moment is laid on what the machine came from (layerPlan). */
  plan: object({ scope: oneOf('Everything', 'SinceBase', 'SinceSnapshot'), below: Layers }),
  /** Whether the machine has a disk of its own. */
  hasDisk: flag,
});
export type FrozenState = ShapeOf<typeof FrozenState>;

/** Pages that are said by number: those in the layer, in its order; those that lie in layers above the first; those that no snapshot has. */
export interface FrozenPages {
  readonly pages: Uint32Array;
  readonly layered: Uint32Array;
  readonly unsaved: Uint32Array;
}

/** Pages that a snapshot of the moment has to hold: of what changed since the last one those that no snapshot has, else all there are. */
export function packedPages({ state, pages, unsaved }: Pick<FrozenParts, 'state' | 'pages' | 'unsaved'>, bound: number): PageSet {
  const packed = PageSet.of(bound, pages);
  if (state.plan.scope === 'SinceSnapshot') packed.intersect(PageSet.of(bound, unsaved));
  return packed;
}

/** A cluster of a disk, or a page: its number and its content. */
interface Piece {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** What a frozen machine is, but for its pages and its disk. */
export interface FrozenParts extends FrozenPages {
  readonly state: FrozenState;
  readonly devices: Uint8Array;
  readonly said: Uint8Array;
}

/** Writes a frozen state into its folder; it is none before this resolves. The pages of the layer lie where the state says. */
export async function writeFrozen(directory: string, { state, devices, said, ...pages }: FrozenParts, clusters: Iterable<Piece>): Promise<void> {
  await Promise.all([
    ...Object.entries(pages).map(([name, numbers]) => writeFile(join(directory, name), numbers)),
    writeFile(join(directory, DEVICES_FILE), devices),
    writeFile(join(directory, SERIAL_FILE), said),
    writeClusters(directory, clusters),
  ]);
  await writeFile(join(directory, FROZEN_FILE), JSON.stringify(state));
}

export interface OpenedFolder extends FrozenParts {
  readonly devices: Uint8Array<ArrayBuffer>;
  /** Of the disk, in ascending order. Throws SnapshotError. */
  clusters(): Generator<Piece>;
}

/** Throws SnapshotError where it is not whole. */
export async function readFrozen(directory: string): Promise<OpenedFolder> {
  try {
    const state = FrozenState(JSON.parse(await readFile(join(directory, FROZEN_FILE), 'utf8')));
    const [pages, layered, unsaved, clusterNumbers] = await Promise.all([readNumbers(directory, 'pages'), readNumbers(directory, 'layered'), readNumbers(directory, 'unsaved'), readNumbers(directory, 'clusters')]);
    const [devices, said] = await Promise.all([readFile(join(directory, DEVICES_FILE)), readFile(join(directory, SERIAL_FILE))]);
    if ((state.layer?.sizeBytes ?? 0) !== pages.length * PAGE_BYTES) throw new SnapshotError('SnapshotUnreadable', 'the layer has other pages than it should');
    return { state, pages, layered, unsaved, devices: new Uint8Array(devices), said, clusters: () => readClusters(directory, clusterNumbers) };
  } catch (error) {
    if (error instanceof SnapshotError) throw error;
    throw new SnapshotError('SnapshotUnreadable', 'the frozen state is not whole', { cause: error });
  }
}

/** Writes all of it at a place of a file. */
export function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, offset + at);
}

async function readNumbers(directory: string, name: keyof FrozenPages | 'clusters'): Promise<Uint32Array> {
  const bytes = new Uint8Array(await readFile(join(directory, name)));
  return new Uint32Array(bytes.buffer, 0, Math.floor(bytes.byteLength / 4));
}

async function writeClusters(directory: string, clusters: Iterable<Piece>): Promise<void> {
  const numbers: number[] = [];
  const fd = openSync(join(directory, CLUSTERS_FILE), 'wx');
  try {
    for (const { number, bytes } of clusters) {
      writeAll(fd, bytes, numbers.length * PAGE_BYTES);
      numbers.push(number);
      if (numbers.length % PIECES_PER_TURN === 0) await nextTurn();
    }
  } finally {
    closeSync(fd);
  }
  await writeFile(join(directory, 'clusters'), Uint32Array.from(numbers));
}

function* readClusters(directory: string, numbers: Uint32Array): Generator<Piece> {
  const fd = openSync(join(directory, CLUSTERS_FILE), 'r');
  try {
    if (fstatSync(fd).size !== numbers.length * PAGE_BYTES) throw new SnapshotError('SnapshotUnreadable', 'the frozen disk is not whole');
    for (const [at, number] of numbers.entries()) {
      const bytes = new Uint8Array(PAGE_BYTES);
      readSync(fd, bytes, 0, PAGE_BYTES, at * PAGE_BYTES);
      yield { number, bytes };
    }
  } finally {
    closeSync(fd);
  }
}
