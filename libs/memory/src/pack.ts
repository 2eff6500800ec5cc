import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { SnapshotError } from './snapshot.error.ts';

/** RAM pages and disk clusters are both pieces of this size. */
export const PIECE_BYTES = 4096;
/** 256 KiB a frame: small enough to fetch one by range, large enough to compress well. */
const PIECES_PER_FRAME = 64;
const FOOTER_BYTES = 32;
const MAGIC = new TextEncoder().encode('CORRALP1');
const COMPRESSION_LEVEL = 1;
/** Frames compressed or expanded at once, in libuv's threads. */
const CONCURRENCY = 4;
/** No pack of a machine Corral runs is larger: 2 TiB of disk. */
const MAX_PIECES = 0x2000_0000;

const compress = promisify(zstdCompress);
const expand = promisify(zstdDecompress);

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
 * Pieces as a pack (docs/snapshot-format.md), in chunks to write one after the other: zstd frames of 64 pieces each, an
 * index that says where each frame lies and which pieces it holds, a footer.
 */
export async function* encodePack(pieces: Iterable<Piece>): AsyncGenerator<Uint8Array> {
  const numbers: number[] = [];
  const lengths: number[] = [];
  for await (const frame of mapOrdered(runsOf(pieces), (run) => compress(run.bytes, compressionOptions), numbers)) {
    lengths.push(frame.length);
    yield frame;
  }
  const index = new Uint8Array((lengths.length + numbers.length) * 4);
  const view = new DataView(index.buffer);
  [...lengths, ...numbers].forEach((value, position) => view.setUint32(position * 4, value, true));
  yield index;
  const footer = new Uint8Array(FOOTER_BYTES);
  const foot = new DataView(footer.buffer);
  foot.setUint32(0, numbers.length, true);
  foot.setUint32(4, lengths.length, true);
  foot.setUint32(8, PIECE_BYTES, true);
  foot.setUint32(12, PIECES_PER_FRAME, true);
  footer.set(MAGIC, FOOTER_BYTES - MAGIC.length);
  yield footer;
}

/** Bytes by position: a file, or a buffer. */
export interface PackSource {
  readonly sizeBytes: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A pack whose index has been read. */
export class PackReader {
  /** Which pieces it holds, in order. */
  readonly numbers: Uint32Array;
  readonly #source: PackSource;
  readonly #lengths: Uint32Array;

  private constructor(source: PackSource, lengths: Uint32Array, numbers: Uint32Array) {
    this.#source = source;
    this.#lengths = lengths;
    this.numbers = numbers;
  }

  /** Throws SnapshotError where the bytes are no whole pack. */
  static async open(source: PackSource): Promise<PackReader> {
    const corrupt = (what: string): SnapshotError => new SnapshotError('SnapshotCorrupt', `a pack’s ${what} is damaged`);
    const footerAt = source.sizeBytes - FOOTER_BYTES;
    if (footerAt < 0) throw corrupt('footer');
    const footer = await source.read(footerAt, FOOTER_BYTES);
    if (!MAGIC.every((byte, at) => footer[FOOTER_BYTES - MAGIC.length + at] === byte)) throw corrupt('footer');
    const [pieceCount = 0, frameCount = 0, pieceBytes, perFrame] = words(footer.subarray(0, 16));
    if (pieceBytes !== PIECE_BYTES || perFrame !== PIECES_PER_FRAME || pieceCount > MAX_PIECES) throw corrupt('footer');
    if (frameCount !== Math.ceil(pieceCount / PIECES_PER_FRAME)) throw corrupt('footer');
    const indexBytes = (frameCount + pieceCount) * 4;
    if (indexBytes > footerAt) throw corrupt('index');
    const index = words(await source.read(footerAt - indexBytes, indexBytes));
    const lengths = index.subarray(0, frameCount);
    if (lengths.reduce((sum, length) => sum + length, 0) !== footerAt - indexBytes) throw corrupt('index');
    return new PackReader(source, lengths, index.subarray(frameCount));
  }

  /** The pieces in order. Throws SnapshotError where a frame is damaged. */
  runs(): AsyncGenerator<PieceRun> {
    return mapOrdered(this.#frames(), async (frame) => expandFrame(frame.numbers, await this.#source.read(frame.offset, frame.length)));
  }

  *#frames(): Generator<{ readonly offset: number; readonly length: number; readonly numbers: Uint32Array }> {
    let offset = 0;
    for (const [frame, length] of this.#lengths.entries()) {
      const first = frame * PIECES_PER_FRAME;
      yield { offset, length, numbers: this.numbers.subarray(first, first + PIECES_PER_FRAME) };
      offset += length;
    }
  }
}

const compressionOptions = {
  // One trip through libuv's threads a frame; the default makes sixteen.
  chunkSize: PIECES_PER_FRAME * PIECE_BYTES,
  params: {
    [constants.ZSTD_c_compressionLevel]: COMPRESSION_LEVEL,
    // A flipped bit is found even where nobody looked at the file's digest.
    [constants.ZSTD_c_checksumFlag]: 1,
  },
};

async function expandFrame(numbers: Uint32Array, compressed: Uint8Array): Promise<PieceRun> {
  const expected = numbers.length * PIECE_BYTES;
  try {
    const bytes = await expand(compressed, { maxOutputLength: expected, chunkSize: expected });
    if (bytes.length === expected) return { numbers, bytes };
  } catch (error) {
    throw new SnapshotError('SnapshotCorrupt', 'a frame of a pack does not decompress', { cause: error });
  }
  throw new SnapshotError('SnapshotCorrupt', 'a frame of a pack holds fewer pieces than its index says');
}

/** Little-endian numbers, whatever their alignment. */
function words(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint32Array.from({ length: bytes.byteLength / 4 }, (_, at) => view.getUint32(at * 4, true));
}

function* runsOf(pieces: Iterable<Piece>): Generator<PieceRun> {
  let numbers: number[] = [];
  let bytes = new Uint8Array(PIECES_PER_FRAME * PIECE_BYTES);
  for (const piece of pieces) {
    bytes.set(piece.bytes, numbers.length * PIECE_BYTES);
    numbers.push(piece.number);
    if (numbers.length < PIECES_PER_FRAME) continue;
    yield { numbers: Uint32Array.from(numbers), bytes };
    numbers = [];
    bytes = new Uint8Array(PIECES_PER_FRAME * PIECE_BYTES);
  }
  if (numbers.length > 0) yield { numbers: Uint32Array.from(numbers), bytes: bytes.subarray(0, numbers.length * PIECE_BYTES) };
}

/** Results in the order of their sources, with a few under way at once. */
async function* mapOrdered<T extends { readonly numbers: Uint32Array }, R>(
  sources: Iterable<T>,
  map: (source: T) => Promise<R>,
  seen: number[] = [],
): AsyncGenerator<R> {
  const underWay: Promise<R>[] = [];
  for (const source of sources) {
    for (const number of source.numbers) seen.push(number);
    const result = map(source);
    // It may fail before its turn comes to be awaited, or never be awaited because one before it failed.
    result.catch(() => undefined);
    underWay.push(result);
    const first = underWay.length >= CONCURRENCY ? underWay.shift() : undefined;
    if (first) yield await first;
  }
  for (const rest of underWay) yield await rest;
}
