import { presentList } from '@corral/api-machinery';
import { leases, type KindDefinition, type KubeObject } from '@corral/contracts';
import fc from 'fast-check';
import { chunkOf, contentOf, eventChunk, listJson, objectJson } from './object-json.ts';

const KIND: KindDefinition = leases;
const PLAIN = { form: 'Object', encoding: 'json', includeObject: 'Metadata' } as const;
const object = fc.record({ metadata: fc.record({ name: fc.string({ unit: 'grapheme' }) }), spec: fc.jsonValue() }) as fc.Arbitrary<unknown> as fc.Arbitrary<KubeObject>;

describe('objects as bytes', () => {
  it('are what serializing them anew gives, alone and in lists of any length', () => {
    fc.assert(
      fc.property(fc.array(object, { maxLength: 5 }), (objects) => {
        const metadata = { resourceVersion: '7' };
        expect(JSON.parse(listJson(KIND, objects, metadata).toString())).toEqual(JSON.parse(JSON.stringify(presentList(KIND, objects, metadata, PLAIN, new Date()))));
        for (const one of objects) {
          expect(objectJson(one).toString()).toBe(JSON.stringify(one));
          // The same object may be news in two ways to two watchers.
          for (const type of ['ADDED', 'MODIFIED', 'ADDED'] as const) {
            const chunk = eventChunk({ type, object: one });
            expect(contentOf(chunk).toString()).toBe(`${JSON.stringify({ type, object: one })}\n`);
            expect(chunk.toString('latin1').startsWith(`${contentOf(chunk).length.toString(16)}\r\n`)).toBe(true);
          }
        }
      }),
    );
  });

  it('are framed and unframed without loss', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => expect(contentOf(chunkOf(Buffer.from(bytes)))).toEqual(Buffer.from(bytes))));
  });
});
