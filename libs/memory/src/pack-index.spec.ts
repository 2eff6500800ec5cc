import fc from 'fast-check';
import { zstdCompressSync } from 'node:zlib';
import { encodePack, expandFrame, PackReader, PIECE_BYTES, type Piece } from './pack.ts';
import { decodePackIndex, frameDigest, PACK_FOOTER_BYTES, packIndexBytes, packIndexBytesOf } from './pack-index.ts';
import { SnapshotError } from './snapshot.error.ts';

const PIECES = 130;
const pieces = Array.from({ length: PIECES }, (_, number): Piece => ({ number: number * 3, bytes: new Uint8Array(PIECE_BYTES).fill(number) }));
let pack: Uint8Array;
let tail: Uint8Array;
beforeAll(async () => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodePack(pieces)) chunks.push(chunk);
  pack = Buffer.concat(chunks);
  tail = chunks.at(-1) ?? new Uint8Array(0);
});

it('is the last chunk of a pack, as long as the number of pieces says', () => {
  expect(tail.length).toBe(packIndexBytes(PIECES));
  expect(packIndexBytesOf(pack.subarray(-PACK_FOOTER_BYTES), pack.length)).toBe(tail.length);
});

it('is enough to read and verify any one frame of the pack', async () => {
  const { frames, numbers } = decodePackIndex(tail, pack.length);
  expect([...numbers]).toEqual(pieces.map(({ number }) => number));
  for (const frame of [...frames].reverse()) {
    const run = await expandFrame(frame, pack.subarray(frame.offset, frame.offset + frame.length));
    run.numbers.forEach((number, at) => expect(run.bytes[at * PIECE_BYTES]).toBe(number / 3));
  }
});

it('shows every flipped bit of a frame, also where the frame’s own checksum was made to fit', async () => {
  const [frame] = decodePackIndex(tail, pack.length).frames;
  if (!frame) throw new Error('no frame');
  const bytes = Uint8Array.from(pack.subarray(frame.offset, frame.offset + frame.length));
  for (let bit = 0; bit < bytes.length * 8; bit += 7) {
    const damaged = bytes.slice();
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await expect(expandFrame(frame, damaged)).rejects.toThrow('not what was written');
  }
  await expect(expandFrame(frame, zstdCompressSync(new Uint8Array(frame.numbers.length * PIECE_BYTES)))).rejects.toThrow(SnapshotError);
});

it('is refused where it is cut, or of a pack of another size', () => {
  fc.assert(
    fc.property(fc.nat(tail.length - 1), (length) => {
      expect(() => decodePackIndex(tail.subarray(0, length), pack.length)).toThrow(SnapshotError);
      expect(() => decodePackIndex(tail.subarray(tail.length - length), pack.length)).toThrow(SnapshotError);
    }),
  );
  expect(() => decodePackIndex(tail, pack.length + 1)).toThrow(SnapshotError);
  expect(() => decodePackIndex(tail, 1)).toThrow(SnapshotError);
});

it('of a pack from before there were digests is read, without them', async () => {
  const lengths = 2;
  const compressed = [pieces.slice(0, 64), pieces.slice(64, 65)].map((run) => zstdCompressSync(Buffer.concat(run.map(({ bytes }) => bytes))));
  const words = Uint32Array.from([...compressed.map(({ length }) => length), ...pieces.slice(0, 65).map(({ number }) => number), 65, lengths, PIECE_BYTES, 64, 0, 0]);
  const old = Buffer.concat([...compressed, Buffer.from(words.buffer), Buffer.from('CORRALP1')]);
  const reader = await PackReader.open({ sizeBytes: old.length, read: (offset, length) => Promise.resolve(old.subarray(offset, offset + length)) });
  let read = 0;
  for await (const { numbers, bytes } of reader.runs()) {
    numbers.forEach((number, at) => expect(bytes[at * PIECE_BYTES]).toBe(number / 3));
    read += numbers.length;
  }
  expect(read).toBe(65);
  expect(reader.index.frames.every(({ sha256 }) => sha256 === undefined)).toBe(true);
});

it('names frames by the SHA-256 of their compressed bytes', () => {
  expect(Buffer.from(frameDigest(new TextEncoder().encode('abc'))).toString('hex')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});
