import fc from 'fast-check';
import { parseNdjson } from './ndjson.ts';

async function* pieces(text: string, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  for (const cut of cuts) {
    yield bytes.subarray(at, at + cut);
    at += cut;
  }
  yield bytes.subarray(at);
}

describe('parseNdjson', () => {
  it('gives every value in order, wherever the stream is cut, also within a character', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.jsonValue(), { maxLength: 6 }),
        fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 30 }),
        fc.boolean(),
        async (values, cuts, ended) => {
          const text = values.map((value) => JSON.stringify(value)).join('\n') + (ended ? '\n' : '');
          const seen: unknown[] = [];
          for await (const value of parseNdjson(pieces(text, cuts))) seen.push(value);
          expect(JSON.stringify(seen)).toBe(JSON.stringify(values));
        },
      ),
    );
  });

  it('throws on what is not JSON', async () => {
    const read = async (): Promise<void> => {
      for await (const _ of parseNdjson(pieces('{}\n<html>\n', []))) continue;
    };
    await expect(read()).rejects.toThrow(SyntaxError);
  });
});
