import { hash } from 'node:crypto';
import { SnapshotError } from './snapshot.error.ts';

/** RAM pages and disk clusters are both pieces of this size. */
export const PIECE_BYTES = 4096;
/** 256 KiB a frame: small enough to fetch one by range, large enough to compress well. */
export const PIECES_PER_FRAME = 64;
export const PACK_FOOTER_BYTES = 32;
const DIGEST_BYTES = 32;
const MAGIC_BYTES = 8;
/** Of packs whose index holds no digests: they are verified as a whole, or not at all. */
const MAGIC_WITHOUT_DIGESTS = 'CORRALP1';
const MAGIC = 'CORRALP2';
/** zstd makes no frame longer than this. Source: ZSTD_compressBound. */
const MAX_FRAME_BYTES = PIECES_PER_FRAME * PIECE_BYTES + 4096;
/** No pack of a machine Corral runs is larger: 2 TiB of disk. */
const MAX_PIECES = 0x2000_0000;

/** One zstd frame of a pack: some pieces that lie together. */
export interface PackFrame {
  readonly offset: number;
  /** Compressed. */
  readonly length: number;
  /** Of the compressed bytes; absent in packs from before there were any. */
  readonly sha256?: Uint8Array;
  readonly numbers: Uint32Array;
}

/** What the end of a pack says: where each frame lies, what it holds, and what its digest is. */
export interface PackIndex {
  readonly frames: readonly PackFrame[];
  /** Of all pieces, in the order of the pack. */
  readonly numbers: Uint32Array;
}

/** The end of a pack whose frames have these lengths and digests. */
export function encodePackIndex(numbers: readonly number[], frames: readonly Pick<Required<PackFrame>, 'length' | 'sha256'>[]): Uint8Array {
  const bytes = new Uint8Array(packIndexBytes(numbers.length));
  const view = new DataView(bytes.buffer);
  let at = 0;
  const word = (value: number): void => {
    view.setUint32(at, value, true);
    at += 4;
  };
  for (const { length } of frames) word(length);
  for (const { sha256 } of frames) {
    bytes.set(sha256, at);
    at += DIGEST_BYTES;
  }
  for (const number of numbers) word(number);
  for (const value of [numbers.length, frames.length, PIECE_BYTES, PIECES_PER_FRAME, 0, 0]) word(value);
  bytes.set(new TextEncoder().encode(MAGIC), at);
  return bytes;
}

/** How many bytes at the end of a pack with digests are its index, footer and all. A reader that has only a manifest begins there. */
export function packIndexBytes(pieces: number): number {
  return Math.ceil(pieces / PIECES_PER_FRAME) * (4 + DIGEST_BYTES) + pieces * 4 + PACK_FOOTER_BYTES;
}

/** Of a frame, as the index keeps it. */
export function frameDigest(compressed: Uint8Array): Uint8Array {
  return hash('sha256', compressed, 'buffer');
}

/** How many bytes at the end of a pack are its index; what is asked about is its last 32 bytes. Throws SnapshotError. */
export function packIndexBytesOf(footer: Uint8Array, packBytes: number): number {
  const { pieces, frames, digestBytes } = decodeFooter(footer);
  const bytes = frames * (4 + digestBytes) + pieces * 4 + PACK_FOOTER_BYTES;
  if (bytes > packBytes) throw damaged('index');
  return bytes;
}

/** Reads the end of a pack, the bytes that packIndexBytesOf counted. Throws SnapshotError where it is not that of a pack of this size. */
export function decodePackIndex(tail: Uint8Array, packBytes: number): PackIndex {
  const { pieces, frames: frameCount, digestBytes } = decodeFooter(tail.subarray(-PACK_FOOTER_BYTES));
  if (tail.length !== packIndexBytesOf(tail.subarray(-PACK_FOOTER_BYTES), packBytes)) throw damaged('index');
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  const digestsAt = frameCount * 4;
  const numbersAt = digestsAt + frameCount * digestBytes;
  const numbers = Uint32Array.from({ length: pieces }, (_, at) => view.getUint32(numbersAt + at * 4, true));
  let offset = 0;
  const frames = Array.from({ length: frameCount }, (_, frame): PackFrame => {
    const length = view.getUint32(frame * 4, true);
    if (length > MAX_FRAME_BYTES) throw damaged('index');
    const digestAt = digestsAt + frame * digestBytes;
    const first = frame * PIECES_PER_FRAME;
    const found = {
      offset,
      length,
      numbers: numbers.subarray(first, first + PIECES_PER_FRAME),
      ...(digestBytes > 0 ? { sha256: tail.slice(digestAt, digestAt + digestBytes) } : {}),
    };
    offset += length;
    return found;
  });
  if (offset !== packBytes - tail.length) throw damaged('index');
  return { frames, numbers };
}

function decodeFooter(footer: Uint8Array): { readonly pieces: number; readonly frames: number; readonly digestBytes: number } {
  if (footer.length !== PACK_FOOTER_BYTES) throw damaged('footer');
  const magic = new TextDecoder('latin1').decode(footer.subarray(PACK_FOOTER_BYTES - MAGIC_BYTES));
  if (magic !== MAGIC && magic !== MAGIC_WITHOUT_DIGESTS) throw damaged('footer');
  const view = new DataView(footer.buffer, footer.byteOffset, PACK_FOOTER_BYTES);
  const [pieces, frames] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (view.getUint32(8, true) !== PIECE_BYTES || view.getUint32(12, true) !== PIECES_PER_FRAME) throw damaged('footer');
  if (pieces > MAX_PIECES || frames !== Math.ceil(pieces / PIECES_PER_FRAME)) throw damaged('footer');
  return { pieces, frames, digestBytes: magic === MAGIC ? DIGEST_BYTES : 0 };
}

function damaged(what: string): SnapshotError {
  return new SnapshotError('SnapshotCorrupt', `a pack’s ${what} is damaged`);
}
