import { closeSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BaseRam, FrozenTaken } from '@corral/contracts';
import { PAGE_BYTES, PageSet, SealedMemory, SealingFailed, SnapshotError, type GuestRam, type Lineage, type PageCopy, type SnapshotMachine } from '@corral/memory';
import type { Cluster } from '@corral/v86-host';
import { LAYER_FILE, packedPages, readFrozen, writeAll, writeFrozen, type FrozenRam, type FrozenState } from '../frozen/frozen-folder.ts';
import { capture, type CapturedMachine } from './capture.ts';
import type { ChangedPages } from './machine-memory.ts';
import { openRam } from './memory.restore.ts';

const PAGES_PER_TURN = 512;
const READ_ONLY = 0o400;

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
  const { scope, below } = memory.scope(lineage.memory);
  const captured = await capture(machine, { pages: () => memory.differing(), disk: 'Everything', moment: () => ({ changes: memory.changes(), abandon: () => undefined }) });
  const { pages, pauseMs, moment: { changes }, clusters } = captured;
  let layer: HeldLayer | undefined;
  try {
    // What is shown where a page is missing has to be what the machine lies on.
    const isOnBase = base !== undefined || lineage.memory.length === 0;
    const kept = isOnBase ? withoutBase(pages, changes.layered) : pages.pages();
    if (kept.count > 0) layer = await holdLayer(directory, pages, kept);
    const state: FrozenState = {
      createdAt: captured.createdAt.toISOString(),
      pauseMs,
      machine: kind,
      base: base ?? null,
      layer: layer?.ram ?? null,
      lineage: { parent: lineage.parent, memory: [...lineage.memory], disk: [...lineage.disk] },
      plan: { scope, below: [...below] },
      hasDisk: clusters !== undefined,
    };
    const numbers = { pages: kept.numbers(), layered: changes.layered.numbers(), unsaved: changes.unsaved.numbers() };
    await writeFrozen(directory, { state, ...numbers, devices: captured.devices, said: captured.said }, clusters?.clusters() ?? []);
    return { taken: { pauseMs, pages: kept.count, ...(base === undefined ? {} : { base }) }, layer };
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
  /** How a snapshot of this moment is laid on the layers below. */
  readonly scope: FrozenState['plan'];
  readonly devices: Uint8Array<ArrayBuffer>;
  readonly said: Uint8Array;
  /** Puts its pages over the base, mapped where that can be done. Throws SnapshotError. Answers how they differ from the layers below. */
  place(ram: GuestRam): ChangedPages;
  /** Pages that the pack of such a snapshot holds. */
  packed(ram: GuestRam): PageSet;
  clusters(): Generator<Cluster>;
}

/** `held`: where its pages lie, when somebody else holds them by now. Throws SnapshotError where it is not whole, or whoever held its pages is gone. */
export async function openFrozen(directory: string, held?: BaseRam): Promise<OpenedFrozen> {
  const folder = await readFrozen(directory);
  const { state, pages, layered, unsaved, devices, said, clusters } = folder;
  return {
    machine: state.machine,
    // Its disk is written whole the next time.
    lineage: { ...state.lineage, disk: [] },
    base: state.base ?? undefined,
    scope: state.plan,
    devices,
    said,
    place(ram) {
      const layer = held ?? state.layer;
      if (layer) placeHeld(ram, layer, pages);
      const set = (numbers: Uint32Array): PageSet => PageSet.of(ram.pages, numbers);
      return { layered: set(layered), unsaved: set(unsaved), differing: set(pages) };
    },
    packed: (ram) => packedPages(folder, ram.pages),
    clusters,
  };
}

/** What is equal to the base need not be said, unless a layer in between says something else. */
function withoutBase(copy: PageCopy, layered: PageSet): PageSet {
  const pages = copy.pages();
  for (const page of copy.pages()) if (!layered.has(page) && copy.isBaseContent(page)) pages.delete(page);
  return pages;
}

interface HeldLayer extends FrozenLayer {
  readonly ram: FrozenRam;
}

/** In memory without a name where the host has it, and has room; else in a file that is never written to again. */
async function holdLayer(directory: string, copy: PageCopy, pages: PageSet): Promise<HeldLayer> {
  const sizeBytes = pages.count * PAGE_BYTES;
  const memory = sealedMemory(sizeBytes);
  if (memory) {
    try {
      await fill(copy, pages, (bytes, at) => memory.write(bytes, at));
      memory.seal();
      return { ram: { type: 'Sealed', ...memory.place }, close: () => memory.close() };
    } catch (error) {
      memory.close();
      if (!(error instanceof SealingFailed)) throw error;
      console.error('A frozen machine’s pages are kept on the disk:', error);
    }
  }
  const path = join(directory, LAYER_FILE);
  const fd = openSync(path, 'wx', READ_ONLY);
  try {
    ftruncateSync(fd, sizeBytes);
    await fill(copy, pages, (bytes, at) => writeAll(fd, bytes, at));
    return { ram: { type: 'File', path, sizeBytes }, close: () => undefined };
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

async function fill(copy: PageCopy, pages: PageSet, write: (bytes: Uint8Array, offset: number) => void): Promise<void> {
  let at = 0;
  for (const { bytes } of copy.pieces(pages)) {
    write(bytes, at * PAGE_BYTES);
    at += 1;
    if (at % PAGES_PER_TURN === 0) await nextTurn();
  }
}

function sealedMemory(sizeBytes: number): SealedMemory | undefined {
  try {
    return SealedMemory.create('corral-frozen', sizeBytes);
  } catch {
    return undefined;
  }
}

function placeHeld(ram: GuestRam, layer: BaseRam, numbers: Uint32Array): void {
  try {
    placeLayer(ram, layer, numbers);
  } catch (error) {
    if (!(error instanceof SealingFailed)) throw error;
    throw new SnapshotError('SnapshotUnreadable', `the frozen machine’s pages cannot be had: ${error.message}`, { cause: error });
  }
}

function placeLayer(ram: GuestRam, layer: BaseRam, numbers: Uint32Array): void {
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
