import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { ClusterChanges, type ChangeScope, type TakenChanges } from './cluster-changes.ts';
import type { V86Disk } from './v86.internals.ts';

export const CLUSTER_BYTES = 4096;

export interface Cluster {
  /** Which 4 KiB of the disk this is. */
  readonly number: number;
  readonly bytes: Uint8Array;
}

/**
 * The clusters a disk had changed at one moment. Iterate once, then keep or give up, which lets the disk go; it may be written to
 * meanwhile. What was given up is in the next snapshot again.
 */
export interface FrozenClusters {
  readonly count: number;
  clusters(): Generator<Cluster>;
  keep(): void;
  giveUp(): void;
}

/**
 * A read-only file every machine shares (through the host's page cache), under the clusters this machine changed. Those
 * lie in two files: `<overlay>` holds them in order of first write, `<overlay>.index` names each one's number (u32 LE).
 * Data is written before its index entry, so a process killed at any moment leaves an overlay that opens.
 *
 * All I/O is synchronous: v86 would take callbacks, but a guest's disk access stops the guest either way and the files
 * are in the page cache.
 */
export class OverlayDisk implements V86Disk {
  readonly byteLength: number;
  onload: (() => void) | undefined;
  readonly #base: number;
  readonly #overlay: number | undefined;
  readonly #index: number | undefined;
  readonly #slots = new Map<number, number>();
  readonly #changes = new ClusterChanges();
  #frozen: { readonly slots: number; readonly saved: Map<number, Uint8Array> } | undefined;

  /** Without an overlay path the disk refuses writes: a CD-ROM. */
  constructor(basePath: string, overlayPath?: string) {
    this.#base = openSync(basePath, 'r');
    this.byteLength = fstatSync(this.#base).size;
    if (overlayPath === undefined) return;
    const indexPath = `${overlayPath}.index`;
    const exists = existsSync(overlayPath) && existsSync(indexPath);
    this.#overlay = openSync(overlayPath, exists ? 'r+' : 'w+');
    if (exists) this.#loadIndex(readFileSync(indexPath));
    this.#index = openSync(indexPath, exists ? 'r+' : 'w+');
  }

  load(): void {
    this.onload?.();
  }

  get(start: number, length: number, done: (bytes: Uint8Array) => void): void {
    done(this.get_from_cache(start, length));
  }

  get_and_cache(start: number, length: number, done: (bytes: Uint8Array) => void): void {
    this.get(start, length, done);
  }

  get_from_cache(start: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    readSync(this.#base, bytes, 0, length, start);
    if (this.#slots.size === 0) return bytes;
    for (const piece of pieces(start, length)) {
      const slot = this.#slots.get(piece.cluster);
      if (slot !== undefined) this.#readSlot(slot, piece.offset, bytes.subarray(piece.from, piece.from + piece.length));
    }
    return bytes;
  }

  set(start: number, bytes: Uint8Array, done: () => void): void {
    for (const piece of pieces(start, bytes.length)) {
      this.#writePiece(piece.cluster, piece.offset, bytes.subarray(piece.from, piece.from + piece.length));
    }
    done();
  }

  /** v86 asks for the whole disk only to download it. */
  get_buffer(done: (buffer?: ArrayBuffer) => void): void {
    done();
  }

  /** Nothing: a snapshot carries the changed clusters by itself, not inside the device state. */
  get_state(): unknown[] {
    return [];
  }

  set_state(): void {
    // See get_state.
  }

  get changedClusters(): number {
    return this.#slots.size;
  }

  /** Writes whole clusters of a snapshot, as a restore does: number `numbers[i]` is at `i * CLUSTER_BYTES`. Those of layer 0 are its base. */
  writeClusters({ numbers, bytes, layer }: { readonly numbers: Uint32Array; readonly bytes: Uint8Array; readonly layer: number }): void {
    numbers.forEach((number, at) => {
      this.#writePiece(number, 0, bytes.subarray(at * CLUSTER_BYTES, (at + 1) * CLUSTER_BYTES));
      this.#changes.noteRestored(number, layer === 0);
    });
  }

  /** Holds on to what has changed so far back. A later write to such a cluster first keeps the old bytes in memory. */
  freeze(scope: ChangeScope): FrozenClusters {
    if (this.#frozen) throw new Error('the disk is frozen already');
    const taken = this.#changes.take(scope);
    const entries = taken.numbers.map((number) => [number, this.#slots.get(number) ?? 0] as const);
    const frozen = { slots: this.#slots.size, saved: new Map<number, Uint8Array>() };
    this.#frozen = frozen;
    const clusterAt = (slot: number): Uint8Array => {
      const saved = frozen.saved.get(slot);
      if (saved) return saved;
      const bytes = new Uint8Array(CLUSTER_BYTES);
      this.#readSlot(slot, 0, bytes);
      return bytes;
    };
    return {
      count: entries.length,
      *clusters() {
        for (const [number, slot] of entries) yield { number, bytes: clusterAt(slot) };
      },
      keep: () => this.#letGo(taken, 'keep'),
      giveUp: () => this.#letGo(taken, 'giveUp'),
    };
  }

  #letGo(taken: TakenChanges, how: 'keep' | 'giveUp'): void {
    taken[how]();
    this.#frozen = undefined;
  }

  close(): void {
    for (const fd of [this.#base, this.#overlay, this.#index]) if (fd !== undefined) closeSync(fd);
  }

  #loadIndex(index: Uint8Array): void {
    const view = new DataView(index.buffer, index.byteOffset, index.byteLength);
    for (let slot = 0; (slot + 1) * 4 <= view.byteLength; slot += 1) {
      const number = view.getUint32(slot * 4, true);
      this.#slots.set(number, slot);
      this.#changes.note(number);
    }
  }

  #readSlot(slot: number, offset: number, into: Uint8Array): void {
    if (this.#overlay === undefined) return;
    readSync(this.#overlay, into, 0, into.length, slot * CLUSTER_BYTES + offset);
  }

  #writePiece(cluster: number, offset: number, bytes: Uint8Array): void {
    if (this.#overlay === undefined || this.#index === undefined) return;
    this.#changes.note(cluster);
    const slot = this.#slots.get(cluster);
    if (slot !== undefined) {
      this.#saveFrozen(slot);
      writeAll(this.#overlay, bytes, slot * CLUSTER_BYTES + offset);
      return;
    }
    const whole = new Uint8Array(CLUSTER_BYTES);
    if (bytes.length < CLUSTER_BYTES) readSync(this.#base, whole, 0, CLUSTER_BYTES, cluster * CLUSTER_BYTES);
    whole.set(bytes, offset);
    const next = this.#slots.size;
    writeAll(this.#overlay, whole, next * CLUSTER_BYTES);
    writeAll(this.#index, new Uint8Array(Uint32Array.of(cluster).buffer), next * 4);
    this.#slots.set(cluster, next);
  }

  #saveFrozen(slot: number): void {
    const frozen = this.#frozen;
    if (!frozen || slot >= frozen.slots || frozen.saved.has(slot)) return;
    const bytes = new Uint8Array(CLUSTER_BYTES);
    this.#readSlot(slot, 0, bytes);
    frozen.saved.set(slot, bytes);
  }
}

/** A host that has no more room writes what fits, and fails only at the rest. */
function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}

interface Piece {
  readonly cluster: number;
  readonly offset: number;
  readonly from: number;
  readonly length: number;
}

/** A range of the disk, cut at cluster boundaries. */
function* pieces(start: number, length: number): Generator<Piece> {
  for (let from = 0; from < length; ) {
    const position = start + from;
    const offset = position % CLUSTER_BYTES;
    const take = Math.min(CLUSTER_BYTES - offset, length - from);
    yield { cluster: Math.floor(position / CLUSTER_BYTES), offset, from, length: take };
    from += take;
  }
}
