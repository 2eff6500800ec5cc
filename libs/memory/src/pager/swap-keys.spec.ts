import fc from 'fast-check';
import { clusterKey, clusterKeys, fieldOf, readHeader, swapKeyPrefix, writeHeader } from './swap-keys.ts';

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });

describe('swap keys', () => {
  it('no two pages share a place, and every key of a machine is known', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), (pages) => {
        const prefix = swapKeyPrefix('uid', 3);
        const places = Array.from({ length: pages }, (_, page) => `${clusterKey(prefix, page)}/${fieldOf(page)}`);
        expect(new Set(places).size).toBe(pages);
        expect([...clusterKeys(prefix, pages)]).toEqual([...new Set(places.map((place) => place.split('/')[0]))]);
      }),
    );
  });

  it('two lives of one machine share none', () => {
    expect(clusterKey(swapKeyPrefix('a', 1), 0)).not.toBe(clusterKey(swapKeyPrefix('a', 2), 0));
  });

  it('a header says what it was given', () => {
    fc.assert(
      fc.property(uint32, uint32, (generation, checksum) => {
        const value = new Uint8Array(20);
        writeHeader(value, generation, checksum);
        expect(readHeader(value)).toEqual({ generation, checksum });
      }),
    );
    expect(readHeader(new Uint8Array(7))).toBeUndefined();
  });
});
