import fc from 'fast-check';
import { encodePack, PackReader, PIECE_BYTES, type Piece } from './pack.ts';
import { SnapshotError } from './snapshot.error.ts';

/** Pieces that are cheap to make and differ from one another. */
const pieces = fc
  .uniqueArray(fc.nat(0xffff_ffff), { maxLength: 150 })
  .map((numbers) => numbers.map((number): Piece => ({ number, bytes: new Uint8Array(PIECE_BYTES).fill(number & 0xff, number % 4000) })));

async function encode(content: readonly Piece[]): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodePack(content)) chunks.push(chunk);
  return Uint8Array.from(Buffer.concat(chunks));
}

async function decode(pack: Uint8Array): Promise<Piece[]> {
  const found: Piece[] = [];
  const source = { sizeBytes: pack.length, read: (offset: number, length: number) => Promise.resolve(pack.subarray(offset, offset + length)) };
  for await (const { numbers, bytes } of (await PackReader.open(source)).runs()) {
    numbers.forEach((number, at) => found.push({ number, bytes: Uint8Array.from(bytes.subarray(at * PIECE_BYTES, (at + 1) * PIECE_BYTES)) }));
  }
  return found;
}

it('gives back the pieces it was given, in their order', async () => {
  await fc.assert(
    fc.asyncProperty(pieces, async (content) => {
      const decoded = await decode(await encode(content));
      expect(decoded.map(({ number }) => number)).toEqual(content.map(({ number }) => number));
      expect(Buffer.concat(decoded.map(({ bytes }) => bytes)).equals(Buffer.concat(content.map(({ bytes }) => bytes)))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

it('gives back wrong pieces for no flipped bit and no missing end', async () => {
  const content = Array.from({ length: 130 }, (_, number): Piece => ({ number, bytes: new Uint8Array(PIECE_BYTES).fill(number) }));
  const whole = Buffer.concat(content.map(({ bytes }) => bytes));
  const pack = await encode(content);
  await fc.assert(
    fc.asyncProperty(fc.nat(pack.length * 8 - 1), fc.boolean(), async (bit, cut) => {
      const damaged = cut ? pack.slice(0, bit >> 3) : pack.slice();
      if (!cut) damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const result = await decode(damaged).catch((error: unknown) => error);
      // A flipped piece number is the one damage that only the file's digest shows.
      if (result instanceof Array) expect(Buffer.concat(result.map(({ bytes }) => bytes)).equals(whole)).toBe(true);
      else expect(result).toBeInstanceOf(SnapshotError);
    }),
    { numRuns: 60 },
  );
});
