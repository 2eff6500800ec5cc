import fc from 'fast-check';
import { Arena, SLAB_BYTES } from './arena.ts';

const CAPACITY = 8 * SLAB_BYTES;
/** Each step allocates that many bytes, or frees the nth of what is held. */
const steps = fc.array(fc.oneof(fc.record({ bytes: fc.integer({ min: 1, max: 4096 }) }), fc.record({ free: fc.nat() })), { maxLength: 800 });

describe('an arena', () => {
  it('never gives the same byte to two, nor any beyond its end', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const arena = new Arena(CAPACITY);
        const held: { at: number; bytes: number }[] = [];
        const owners = new Int32Array(CAPACITY / 256).fill(-1);
        let id = 0;
        for (const step of list) {
          if ('bytes' in step) {
            const at = arena.allocate(step.bytes);
            if (at === undefined) continue;
            id += 1;
            for (let granule = at / 256; granule < (at + step.bytes) / 256; granule += 1) {
              expect(owners[granule]).toBe(-1);
              owners[granule] = id;
            }
            held.push({ at, bytes: step.bytes });
          } else if (held.length > 0) {
            const [gone] = held.splice(step.free % held.length, 1);
            if (!gone) continue;
            arena.free(gone.at);
            for (let granule = gone.at / 256; granule < (gone.at + gone.bytes) / 256; granule += 1) owners[granule] = -1;
          }
        }
      }),
    );
  });

  it('has given everything back when everything was freed, and all of it fits again', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4096 }), { maxLength: 300 }), fc.infiniteStream(fc.nat()), (sizes, order) => {
        const arena = new Arena(CAPACITY);
        const held = sizes.flatMap((bytes) => arena.allocate(bytes) ?? []);
        let givenBack = 0;
        while (held.length > 0) {
          const at = held.splice((order.next().value ?? 0) % held.length, 1)[0] ?? 0;
          if (arena.free(at) !== undefined) givenBack += 1;
        }
        expect([arena.usedBytes, givenBack * SLAB_BYTES >= 0]).toEqual([0, true]);
        const again = Array.from({ length: CAPACITY / 4096 }, () => arena.allocate(4096));
        expect(new Set(again).size).toBe(CAPACITY / 4096);
        expect(again).not.toContain(undefined);
      }),
    );
  });

  it('says when it is full, and takes more after something was freed', () => {
    const arena = new Arena(SLAB_BYTES);
    const places = Array.from({ length: 16 }, () => arena.allocate(4000));
    expect([places.includes(undefined), arena.allocate(1)]).toEqual([false, undefined]);
    arena.free(places[3] ?? 0);
    expect(arena.allocate(3900)).toBe(places[3]);
  });

  it.each([[12], [256 * 3]])('refuses to free what was not given out: %i', (offset) => {
    const arena = new Arena(CAPACITY);
    arena.allocate(512);
    expect(() => arena.free(offset)).toThrow(RangeError);
  });

  it('refuses to free a place twice', () => {
    const arena = new Arena(CAPACITY);
    const [kept, gone] = [arena.allocate(512), arena.allocate(512)];
    arena.free(gone ?? 0);
    expect(() => arena.free(gone ?? 0)).toThrow(RangeError);
    expect(() => arena.free(kept ?? 0)).not.toThrow();
  });
});
