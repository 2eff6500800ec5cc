import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { flag, integer, list, nullable, object, type ShapeOf, tagged, text } from '@corral/base/shape';
import type { FrozenTaken } from '@corral/contracts';
import { Layer, PAGE_BYTES, PageSet, SealedMemory, SealingFailed, Sha256, SnapshotError, SnapshotMachine, Timestamp, type GuestRam, type Lineage, type PageCopy } from '@corral/memory';
import type { Cluster, FrozenClusters } from '@corral/v86-host';
import { capture, type CapturedMachine } from './capture.ts';
import type { ChangedPages } from './machine-memory.ts';
import { openRam } from './memory.restore.ts';

/** Written last: without it there is no frozen state. */
const FROZEN_FILE = 'frozen.json';
const DEVICES_FILE = 'devices';
const SERIAL_FILE = 'serial';
const LAYER_FILE = 'layer';
const NUMBERS = ['pages', 'layered', 'unsaved', 'clusters'] as const;
const CLUSTERS_FILE = 'clusters.data';
const PAGES_PER_TURN = 512;
const READ_ONLY = 0o400;

const sizeBytes = integer({ min: 1 });
const Ram = tagged({
  Sealed: object({ path: text({ pattern: /^\/proc\/\d+\/fd\/\d+$/ }), inode: integer(), sizeBytes }),
  File: object({ path: text(), sizeBytes }),
});
const Layers = list(Layer, { max: 64 });

const FrozenState = object({
  createdAt: Timestamp,
  machine: SnapshotMachine,
  /** Of the pack whose pages were mapped below everything; null where there was none. */
  base: nullable(Sha256),
  /** Where the pages lie that differ from the base; null where none does. */
  layer: nullable(Ram),
  lineage: object({ parent: nullable(Sha256), memory: Layers, disk: Layers }),
  /** Whether the machine has a disk of its own. */
  hasDisk: flag,
});
type FrozenState = ShapeOf<typeof FrozenState>;

/** What a machine that is frozen is, and what it lies on. */
export interface FrozenIdentity {
  readonly machine: SnapshotMachine;
  readonly lineage: Lineage;
  /** Of the pack whose pages are mapped below everything. */
  readonly base: string | undefined;
}

/** The pages of a frozen state, held for whoever maps them. */
export interface FrozenLayer {
  close(): void;
}

/**
 * Writes what a machine is at this moment into an existing, empty directory, for machines on this node to begin with: uncompressed, and its pages in
 * memory that they map. The guest stands still only while the last of it is copied. The layer has to be held until no machine will
 * begin with it any more.
 */
export async function freezeMachine(machine: CapturedMachine, directory: string, { machine: kind, lineage, base }: FrozenIdentity): Promise<{ readonly taken: FrozenTaken; readonly layer: FrozenLayer | undefined }> {
  const { memory } = machine;
  const captured = await capture(machine, { pages: () => memory.differing(), disk: 'Everything', moment: () => ({ changes: memory.changes(), abandon: () => undefined }) });
  const { pages, moment: { changes }, clusters } = captured;
  let layer: HeldLayer | undefined;
  try {
    const kept = withoutBase(pages);
    if (kept.count > 0) layer = await holdLayer(directory, pages, kept);
    await Promise.all([
      writeNumbers(directory, 'pages', kept.numbers()),
      writeNumbers(directory, 'layered', changes.layered.numbers()),
      writeNumbers(directory, 'unsaved', changes.unsaved.numbers()),
      writeFile(join(directory, DEVICES_FILE), captured.devices),
      writeFile(join(directory, SERIAL_FILE), captured.said),
      writeClusters(directory, clusters),
    ]);
    const state: FrozenState = {
      createdAt: captured.createdAt.toISOString(),
      machine: kind,
      base: base ?? null,
      layer: layer?.ram ?? null,
      lineage: { parent: lineage.parent, memory: [...lineage.memory], disk: [...lineage.disk] },
      hasDisk: clusters !== undefined,
    };
    await writeFile(join(directory, FROZEN_FILE), JSON.stringify(state));
    return { taken: { pauseMs: captured.pauseMs, pages: kept.count, ...(base === undefined ? {} : { base }) }, layer };
  } catch (error) {
    layer?.close();
    throw error;
  } finally {
    // What is frozen is no snapshot: the next one holds these clusters as well.
    clusters?.giveUp();
    pages.free();
  }
}

/** A frozen state that a machine can begin with. */
export interface OpenedFrozen {
  readonly machine: SnapshotMachine;
  readonly lineage: Lineage;
  readonly base: string | undefined;
  readonly devices: Uint8Array<ArrayBuffer>;
  readonly said: Uint8Array;
  readonly hasDisk: boolean;
  /** Puts its pages over the base, mapped where that can be done. Throws SnapshotError. Answers how they differ from the layers below. */
  place(ram: GuestRam): ChangedPages;
  clusters(): Generator<Cluster>;
}

/** Throws SnapshotError where it is not whole, or whoever held its pages is gone. */
export async function openFrozen(directory: string): Promise<OpenedFrozen> {
  try {
    const state = FrozenState(JSON.parse(await readFile(join(directory, FROZEN_FILE), 'utf8')));
    const [pages, layered, unsaved, clusterNumbers] = await Promise.all(NUMBERS.map((name) => readNumbers(directory, name)));
    const [devices, said] = await Promise.all([readFile(join(directory, DEVICES_FILE)), readFile(join(directory, SERIAL_FILE))]);
    return {
      machine: state.machine,
      // Its disk is written whole the next time.
      lineage: { ...state.lineage, disk: [] },
      base: state.base ?? undefined,
      devices: new Uint8Array(devices),
      said,
      hasDisk: state.hasDisk,
      place(ram) {
        if (state.layer && pages) placeHeld(ram, state.layer, pages);
        const set = (numbers: Uint32Array | undefined): PageSet => PageSet.of(ram.pages, numbers ?? []);
        return { layered: set(layered), unsaved: set(unsaved), differing: set(pages) };
      },
      clusters: () => readClusters(directory, clusterNumbers ?? new Uint32Array()),
    };
  } catch (error) {
    throw new SnapshotError('SnapshotUnreadable', 'the frozen state is not whole', { cause: error });
  }
}

/** What is equal to the base need not be said. */
function withoutBase(copy: PageCopy): PageSet {
  const pages = copy.pages();
  for (const page of copy.pages()) if (copy.isBaseContent(page)) pages.delete(page);
  return pages;
}

interface HeldLayer extends FrozenLayer {
  readonly ram: FrozenState['layer'];
}

/** In memory without a name where the host has it, else in a file that is never written to again. */
async function holdLayer(directory: string, copy: PageCopy, pages: PageSet): Promise<HeldLayer> {
  const sizeBytes = pages.count * PAGE_BYTES;
  const memory = sealedMemory(sizeBytes);
  const path = join(directory, LAYER_FILE);
  const fd = memory ? undefined : openSync(path, 'wx', READ_ONLY);
  try {
    if (fd !== undefined) ftruncateSync(fd, sizeBytes);
    let at = 0;
    for (const { bytes } of copy.pieces(pages)) {
      if (memory) memory.write(bytes, at * PAGE_BYTES);
      else if (fd !== undefined) writeAll(fd, bytes, at * PAGE_BYTES);
      at += 1;
      if (at % PAGES_PER_TURN === 0) await nextTurn();
    }
    memory?.seal();
    return memory ? { ram: { type: 'Sealed', ...memory.place }, close: () => memory.close() } : { ram: { type: 'File', path, sizeBytes }, close: () => undefined };
  } catch (error) {
    memory?.close();
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function sealedMemory(sizeBytes: number): SealedMemory | undefined {
  try {
    return SealedMemory.create('corral-frozen', sizeBytes);
  } catch {
    return undefined;
  }
}

function placeHeld(ram: GuestRam, layer: NonNullable<FrozenState['layer']>, numbers: Uint32Array): void {
  try {
    placeLayer(ram, layer, numbers);
  } catch (error) {
    if (!(error instanceof SealingFailed)) throw error;
    throw new SnapshotError('SnapshotUnreadable', `the frozen machine’s pages cannot be had: ${error.message}`, { cause: error });
  }
}

function placeLayer(ram: GuestRam, layer: NonNullable<FrozenState['layer']>, numbers: Uint32Array): void {
  if (layer.sizeBytes !== numbers.length * PAGE_BYTES) throw new SealingFailed('the layer has other pages than it should');
  const fd = openRam(layer);
  try {
    if (ram.capability.mode !== 'Copy') return ram.mapLayer(fd, numbers);
    const page = Buffer.allocUnsafe(PAGE_BYTES);
    numbers.forEach((number, at) => {
      if (readSync(fd, page, 0, PAGE_BYTES, at * PAGE_BYTES) !== PAGE_BYTES) throw new SealingFailed('the layer ends early');
      ram.put(number, page);
    });
  } finally {
    // The mapping holds the memory.
    closeSync(fd);
  }
}

function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, offset + at);
}

function writeNumbers(directory: string, name: (typeof NUMBERS)[number], numbers: Uint32Array): Promise<void> {
  return writeFile(join(directory, name), numbers);
}

async function readNumbers(directory: string, name: (typeof NUMBERS)[number]): Promise<Uint32Array> {
  const bytes = new Uint8Array(await readFile(join(directory, name)));
  return new Uint32Array(bytes.buffer, 0, Math.floor(bytes.byteLength / 4));
}

async function writeClusters(directory: string, clusters: FrozenClusters | undefined): Promise<void> {
  const numbers: number[] = [];
  const fd = openSync(join(directory, CLUSTERS_FILE), 'wx');
  try {
    for (const { number, bytes } of clusters?.clusters() ?? []) {
      writeAll(fd, bytes, numbers.length * PAGE_BYTES);
      numbers.push(number);
      if (numbers.length % PAGES_PER_TURN === 0) await nextTurn();
    }
  } finally {
    closeSync(fd);
  }
  await writeNumbers(directory, 'clusters', Uint32Array.from(numbers));
}

function* readClusters(directory: string, numbers: Uint32Array): Generator<Cluster> {
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
