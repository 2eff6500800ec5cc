import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import { ChunkedDecoder } from './chunked.ts';

const TRAILER = 'x-amz-checksum-crc32:abc=';
const frame = (parts: readonly Uint8Array[]): Buffer =>
  Buffer.concat([
    ...parts.flatMap((part) => [
      Buffer.from(`${part.length.toString(16)}\r\n`),
      Buffer.from(part),
      Buffer.from('\r\n'),
    ]),
    Buffer.from(`0\r\n${TRAILER}\r\n\r\n`),
  ]);

async function decode(
  wire: Buffer,
  cuts: readonly number[],
): Promise<{ body: Buffer; trailers: ReadonlyMap<string, string> }> {
  const decoder = new ChunkedDecoder();
  const bounds = [0, ...cuts.map((cut) => cut % (wire.length + 1)).sort((a, b) => a - b), wire.length];
  const pieces = bounds.slice(1).map((end, index) => wire.subarray(bounds[index], end));
  const [body] = await Promise.all([buffer(decoder), pipeline(Readable.from(pieces), decoder)]);
  return { body, trailers: decoder.trailers };
}

describe('ChunkedDecoder', () => {
  const parts = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 5 });

  it('gives the same bytes and trailers however the network cuts them', async () => {
    await fc.assert(
      fc.asyncProperty(parts, fc.array(fc.nat(), { maxLength: 6 }), async (chunks, cuts) => {
        const { body, trailers } = await decode(frame(chunks), cuts);
        expect(body.equals(Buffer.concat(chunks))).toBe(true);
        expect([...trailers]).toEqual([['x-amz-checksum-crc32', 'abc=']]);
      }),
    );
  });

  it('refuses a body that ends before its last chunk', async () => {
    await fc.assert(
      fc.asyncProperty(parts, fc.nat(), async (chunks, at) => {
        const wire = frame(chunks);
        const end = at % (wire.length - `0\r\n${TRAILER}\r\n\r\n`.length + 1);
        await expect(decode(wire.subarray(0, end), [])).rejects.toMatchObject({ code: 'IncompleteBody' });
      }),
    );
  });

  it('refuses a line without an end rather than keep it', async () => {
    await expect(decode(Buffer.alloc(100_000, '1'), [])).rejects.toMatchObject({ code: 'IncompleteBody' });
  });
});
