import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { FrameCompressor } from './frame-compressor.ts';
import {
  decodePackIndex,
  encodePackIndex,
  frameDigest,
  PACK_FOOTER_BYTES,
  packIndexBytesOf,
  PIECE_BYTES,
  PIECES_PER_FRAME,
  type PackFrame,
  type PackIndex,
} from './pack-index.ts';
import { SnapshotError } from './snapshot.error.ts';

const FRAME_BYTES = PIECES_PER_FRAME * PIECE_BYTES;
/** Frames expanded at once, in libuv's threads. */
const CONCURRENCY = 4;

const expand = promisify(zstdDecompress);

export { PIECE_BYTES };

export interface Piece {
  /** Page or cluster number. */
  readonly number: number;
  /** PIECE_BYTES of content. */
  readonly bytes: Uint8Array;
}

/** Some pieces that lie together in a pack: number `numbers[i]` is at `i * PIECE_BYTES` of `bytes`. */
export interface PieceRun {
  readonly numbers: Uint32Array;
  readonly bytes: Uint8Array;
}

/**
 * Pieces as a pack (docs/snapshot-format.md), in chunks to write one after the other: zstd frames of 64 pieces each, and as
 * the last chunk an index that says where each frame lies, what its digest is and which pieces it holds. The same pieces
 * in the same order are the same bytes.
 */
export async function* encodePack(pieces: Iterable<Piece>): AsyncGenerator<Uint8Array> {
  const numbers: number[] = [];
  const frames: { length: number; sha256: Uint8Array }[] = [];
  const compressor = new FrameCompressor(FRAME_BYTES);
  try {
    for (const run of runsOf(pieces)) {
      for (const number of run.numbers) numbers.push(number);
      const frame = await compressor.compress(run.bytes);
      frames.push({ length: frame.length, sha256: frameDigest(frame) });
      yield frame;
    }
  } finally {
    compressor.close();
  }
  yield encodePackIndex(numbers, frames);
}

/** Bytes by position: a file, or a buffer. */
export interface PackSource {
  readonly sizeBytes: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A pack whose index has been read. */
export class PackReader {
  readonly index: PackIndex;
  readonly #source: PackSource;

  private constructor(source: PackSource, index: PackIndex) {
    this.#source = source;
    this.index = index;
  }

  /** Throws SnapshotError where the bytes are no whole pack. */
  static async open(source: PackSource): Promise<PackReader> {
    const footerAt = Math.max(0, source.sizeBytes - PACK_FOOTER_BYTES);
    const indexBytes = packIndexBytesOf(await source.read(footerAt, source.sizeBytes - footerAt), source.sizeBytes);
    const tail = await source.read(source.sizeBytes - indexBytes, indexBytes);
    return new PackReader(source, decodePackIndex(tail, source.sizeBytes));
  }

  /** Which pieces it holds, in order. */
  get numbers(): Uint32Array {
    return this.index.numbers;
  }

  /** The pieces that are wanted, in order; a frame without any is not read. Throws SnapshotError where a frame is damaged. */
  runs(isWanted: (number: number) => boolean = () => true): AsyncGenerator<PieceRun> {
    const frames = this.index.frames.filter(({ numbers }) => numbers.some(isWanted));
    return mapOrdered(frames, async (frame) => wantedOf(await expandFrame(frame, await this.#source.read(frame.offset, frame.length)), isWanted));
  }
}

/** The pieces of a frame, once its digest was compared, where it has one. Throws SnapshotError where it is damaged. */
export async function expandFrame({ numbers, sha256 }: Pick<PackFrame, 'numbers' | 'sha256'>, compressed: Uint8Array): Promise<PieceRun> {
  const expected = numbers.length * PIECE_BYTES;
  if (sha256 && Buffer.compare(frameDigest(compressed), sha256) !== 0) {
    throw new SnapshotError('SnapshotCorrupt', 'a frame of a pack is not what was written');
  }
  try {
    const bytes = await expand(compressed, { maxOutputLength: expected, chunkSize: expected });
    if (bytes.length === expected) return { numbers, bytes };
  } catch (error) {
    throw new SnapshotError('SnapshotCorrupt', 'a frame of a pack does not decompress', { cause: error });
  }
  throw new SnapshotError('SnapshotCorrupt', 'a frame of a pack holds fewer pieces than its index says');
}

function wantedOf(run: PieceRun, isWanted: (number: number) => boolean): PieceRun {
  const positions = [...run.numbers.keys()].filter((at) => isWanted(run.numbers[at] ?? 0));
  if (positions.length === run.numbers.length) return run;
  const bytes = new Uint8Array(positions.length * PIECE_BYTES);
  positions.forEach((from, at) => bytes.set(run.bytes.subarray(from * PIECE_BYTES, (from + 1) * PIECE_BYTES), at * PIECE_BYTES));
  return { numbers: Uint32Array.from(positions, (at) => run.numbers[at] ?? 0), bytes };
}

/** Each run is good until the next is asked for. */
function* runsOf(pieces: Iterable<Piece>): Generator<PieceRun> {
  const bytes = new Uint8Array(FRAME_BYTES);
  let numbers: number[] = [];
  for (const piece of pieces) {
    bytes.set(piece.bytes, numbers.length * PIECE_BYTES);
    numbers.push(piece.number);
    if (numbers.length < PIECES_PER_FRAME) continue;
    yield { numbers: Uint32Array.from(numbers), bytes };
    numbers = [];
  }
  if (numbers.length > 0) yield { numbers: Uint32Array.from(numbers), bytes: bytes.subarray(0, numbers.length * PIECE_BYTES) };
}

/** Results in the order of their sources, with a few under way at once. */
async function* mapOrdered<T, R>(sources: Iterable<T>, map: (source: T) => Promise<R>): AsyncGenerator<R> {
  const underWay: Promise<R>[] = [];
  for (const source of sources) {
    const result = map(source);
    // It may fail before its turn comes to be awaited, or never be awaited because one before it failed.
    result.catch(() => undefined);
    underWay.push(result);
    const first = underWay.length >= CONCURRENCY ? underWay.shift() : undefined;
    if (first) yield await first;
  }
  for (const rest of underWay) yield await rest;
}
