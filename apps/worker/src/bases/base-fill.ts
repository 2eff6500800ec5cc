import { setTimeout as delay } from 'node:timers/promises';
import { expandFrame, type PackFrame, type PackIndex, PIECE_BYTES, SnapshotError } from '@corral/memory';
import { type BaseMemory, NoRoom } from './base-memory.ts';
import { FrameQueue } from './frame-queue.ts';

/** Where the bytes of a pack come from: a file of this node, or the object store. */
export interface PackBytes {
  readonly index: PackIndex;
  /** Throws SnapshotError or ObjectStoreFailure. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Reads under way at once. */
const CONCURRENCY = 4;
/** One read of what nobody waits for. */
const MAX_BATCH_BYTES = 1024 * 1024;
/** What comes damaged so often is damaged where it lies. */
const ATTEMPTS = 3;
const RETRY_AFTER_MS = 200;
const LONGEST_RETRY_MS = 3_000;
/** Machines rather stand still than end while an object store restarts; and no longer than anybody would wait. */
const PATIENCE_MS = 30_000;

export interface BaseFillOptions {
  /** Frames that are likely to be wanted first. */
  readonly first?: readonly number[];
  /** How long bytes that cannot be read are asked for again. Default 30 s. */
  readonly patienceMs?: number | undefined;
}

/**
 * Fills the memory of a base from its pack, each frame verified before a byte of it is written. Pages can be asked for while that
 * goes on, and are there first.
 */
export class BaseFill {
  /** Every page is there. Rejects with what went wrong first; nothing is read or written any more then. */
  readonly whole: Promise<void>;
  readonly #bytes: PackBytes;
  readonly #memory: BaseMemory;
  readonly #queue: FrameQueue;
  readonly #frames: readonly PackFrame[];
  /** Which frame holds a page; nothing for pages that are zero. */
  readonly #frameOf = new Map<number, number>();
  readonly #waiting = new Map<number, PromiseWithResolvers<undefined>>();
  readonly #written: Uint8Array;
  readonly #listeners = new Set<(pages: Uint32Array) => void>();
  readonly #pages: number;
  readonly #patienceMs: number;
  /** Reads that somebody asked for. */
  readonly #underWay = new Set<Promise<void>>();
  #asked = 0;
  #readBytes = 0;
  #failure: { readonly error: unknown } | undefined;

  /** `pages` is how many the machine has. Throws SnapshotError where the pack holds others. */
  constructor(bytes: PackBytes, memory: BaseMemory, pages: number, { first = [], patienceMs = PATIENCE_MS }: BaseFillOptions = {}) {
    this.#bytes = bytes;
    this.#memory = memory;
    this.#pages = pages;
    this.#patienceMs = patienceMs;
    this.#frames = bytes.index.frames;
    this.#written = new Uint8Array(this.#frames.length);
    this.#queue = new FrameQueue(this.#frames.map(({ length }) => length), first, MAX_BATCH_BYTES);
    for (const [frame, { numbers }] of this.#frames.entries()) {
      for (const number of numbers) {
        if (number >= pages) throw new SnapshotError('SnapshotCorrupt', `a pack holds page ${number}; its machine has ${pages}`);
        if (this.#frameOf.has(number)) throw new SnapshotError('SnapshotCorrupt', `a pack holds page ${number} twice`);
        this.#frameOf.set(number, frame);
      }
    }
    this.whole = this.#fill();
    // Those who wait for pages are told as well; somebody may wait for nothing else.
    this.whole.catch(() => undefined);
  }

  /** Resolves when the page is in the memory, or is known to be zero. Rejects where the base cannot be made. */
  page(number: number): Promise<void> {
    const frame = this.#frameOf.get(number);
    if (frame === undefined || this.#written[frame] === 1) return Promise.resolve();
    if (this.#failure) return Promise.reject(this.#failure.error as Error);
    const known = this.#waiting.get(frame);
    if (known) return known.promise;
    const waiting = Promise.withResolvers<undefined>();
    this.#waiting.set(frame, waiting);
    this.#asked += 1;
    // At once, beside what is read already, and also where it is part of that: somebody stands still.
    this.#queue.claim(frame);
    this.#follow(this.#readAgain([frame]));
    return waiting.promise;
  }

  /** One bit per page, in words of 32: whether the base has it, now or later. All others are zero. */
  get held(): Uint32Array {
    const words = new Uint32Array(Math.ceil(this.#pages / 32));
    for (const page of this.#frameOf.keys()) words[page >>> 5] = (words[page >>> 5] ?? 0) | (1 << (page & 31));
    return words;
  }

  /** Likewise: whether the base has it now. */
  get there(): Uint32Array {
    const words = new Uint32Array(Math.ceil(this.#pages / 32));
    for (const [page, frame] of this.#frameOf) if (this.#written[frame] === 1) words[page >>> 5] = (words[page >>> 5] ?? 0) | (1 << (page & 31));
    return words;
  }

  /** Calls `told` with pages as they come to be there, all of a frame at once. Answers how to end that. */
  onPages(told: (pages: Uint32Array) => void): () => void {
    this.#listeners.add(told);
    return () => this.#listeners.delete(told);
  }

  /** Which frames these pages are in, in ascending order. */
  framesOf(pages: readonly number[]): number[] {
    return [...new Set(pages.map((page) => this.#frameOf.get(page)).filter((frame) => frame !== undefined))].sort((a, b) => a - b);
  }

  /** Frames somebody had to wait for, and bytes read. */
  get asked(): number {
    return this.#asked;
  }

  get readBytes(): number {
    return this.#readBytes;
  }

  async #fill(): Promise<void> {
    // All of them, also after a failure: none may still write when the memory is closed.
    await Promise.all(Array.from({ length: CONCURRENCY }, () => this.#readOn()));
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    try {
      if (this.#failure) throw this.#failure.error;
      this.#memory.finish();
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  async #readOn(): Promise<void> {
    for (let batch = this.#queue.take(); batch && !this.#failure; batch = this.#queue.take()) {
      try {
        await this.#readAgain(batch);
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  #follow(reading: Promise<void>): void {
    const followed = reading.catch((error: unknown) => this.#fail(error)).finally(() => this.#underWay.delete(followed));
    this.#underWay.add(followed);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    for (const { promise, reject } of this.#waiting.values()) {
      promise.catch(() => undefined);
      reject(error);
    }
    this.#waiting.clear();
  }

  /** What came damaged or not at all may come right the next time. */
  async #readAgain(batch: readonly number[]): Promise<void> {
    let failedAtMs: number | undefined;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#read(batch.filter((frame) => this.#written[frame] === 0));
      } catch (error) {
        failedAtMs ??= performance.now();
        const isOver = error instanceof SnapshotError ? attempt === ATTEMPTS : performance.now() - failedAtMs >= this.#patienceMs;
        if (error instanceof NoRoom || isOver || this.#failure) throw error;
        await delay(Math.min(RETRY_AFTER_MS * 2 ** (attempt - 1), LONGEST_RETRY_MS));
        if (this.#failure) throw error;
      }
    }
  }

  async #read(batch: readonly number[]): Promise<void> {
    const [first, last] = [this.#frame(batch[0]), this.#frame(batch.at(-1))];
    const bytes = await this.#bytes.read(first.offset, last.offset + last.length - first.offset);
    this.#readBytes += bytes.length;
    for (const number of batch) {
      const frame = this.#frame(number);
      const at = frame.offset - first.offset;
      const run = await expandFrame(frame, bytes.subarray(at, at + frame.length));
      if (this.#failure) return;
      // Somebody asked for it meanwhile, and has it. Nothing is written twice: it may be sealed by now.
      if (this.#written[number] === 1) continue;
      this.#write(run);
      this.#written[number] = 1;
      this.#waiting.get(number)?.resolve(undefined);
      this.#waiting.delete(number);
      for (const told of this.#listeners) told(run.numbers);
    }
  }

  #write({ numbers, bytes }: { readonly numbers: Uint32Array; readonly bytes: Uint8Array }): void {
    for (let at = 0; at < numbers.length; ) {
      const number = numbers[at] ?? 0;
      let count = 1;
      while (numbers[at + count] === number + count) count += 1;
      this.#memory.write(bytes.subarray(at * PIECE_BYTES, (at + count) * PIECE_BYTES), number * PIECE_BYTES);
      at += count;
    }
  }

  #frame(number: number | undefined): PackFrame {
    const frame = number === undefined ? undefined : this.#frames[number];
    if (!frame) throw new RangeError(`the pack has no frame ${number}`);
    return frame;
  }
}
