import fc from 'fast-check';
import { GuestRam } from './guest-ram.ts';
import { HostMemory, type MemoryMode } from './host/host-memory.ts';
import { SealedMemory } from './host/sealed-memory.ts';
import { PAGE_BYTES } from './machine-pages.ts';
import { PageSet } from './page-set.ts';

const PAGES = 128;
const BASE_PAGES = 96;
const best = HostMemory.probe().capability.mode;
/** Page n is full of n + 1; every fifth one, and those behind the base, are zero. */
const baseValue = (page: number): number => (page % 5 === 0 || page >= BASE_PAGES ? 0 : page + 1);
/** Pages of a layer over it, of which the base has half, as zeros the others. */
const LAYER = Uint32Array.from({ length: BASE_PAGES }, (_, page) => page).filter((page) => page % 10 === 3 || page % 20 === 10);
const LAYER_VALUE = 222;
const mappedValue = (page: number): number => (LAYER.includes(page) ? LAYER_VALUE : baseValue(page));

interface Machine {
  readonly ram: GuestRam;
  write(page: number, value: number): void;
  page(page: number): Buffer;
}

const rams: GuestRam[] = [];
afterEach(() => {
  for (const ram of rams.splice(0)) ram.dispose();
});

function machine(mode: MemoryMode): Machine {
  const wasm = new WebAssembly.Memory({ initial: (PAGES * PAGE_BYTES) / 65_536 });
  const ram = new GuestRam(() => [new Uint8Array(wasm.buffer)], HostMemory.probe({ atBest: mode }));
  rams.push(ram);
  if (mode !== 'Copy') {
    const base = SealedMemory.create('give-back', BASE_PAGES * PAGE_BYTES);
    for (let page = 0; page < BASE_PAGES; page += 1) if (baseValue(page)) base.write(Buffer.alloc(PAGE_BYTES, baseValue(page)), page * PAGE_BYTES);
    base.seal();
    ram.mapBase(base.fd, BASE_PAGES);
    base.close();
    const layer = SealedMemory.create('over', LAYER.length * PAGE_BYTES);
    layer.write(Buffer.alloc(LAYER.length * PAGE_BYTES, LAYER_VALUE), 0);
    layer.seal();
    ram.mapLayer(layer.fd, LAYER);
    layer.close();
    ram.track();
  }
  return {
    ram,
    write: (page, value) => void new Uint8Array(wasm.buffer).fill(value, page * PAGE_BYTES, (page + 1) * PAGE_BYTES),
    page: (page) => Buffer.from(wasm.buffer, page * PAGE_BYTES, PAGE_BYTES),
  };
}

const run = fc.tuple(fc.nat(PAGES - 1), fc.integer({ min: 1, max: 40 })).map(([start, count]) => ({ start, count: Math.min(count, PAGES - start) }));
const step = fc.oneof(
  fc.record({ page: fc.nat(PAGES - 1), value: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ run }),
);

describe('pages a guest gives back', () => {
  it.each(['Full', 'MapOnly', 'Copy'] as const)('are zero or as they were, never what lies below them, and every other page is untouched, in mode %s', (mode) => {
    if (mode === 'Full' && best !== 'Full') return;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { ram, write, page } = machine(mode);
        const content = new Map<number, number>();
        const valueOf = (number: number): number => content.get(number) ?? (mode === 'Copy' ? 0 : mappedValue(number));
        for (const each of steps) {
          if ('page' in each) {
            write(each.page, each.value);
            content.set(each.page, each.value);
            continue;
          }
          const { start, count } = each.run;
          ram.giveBack(each.run);
          for (let number = start; number < start + count; number += 1) {
            const now = page(number);
            const isZero = now.every((byte) => byte === 0);
            expect(isZero || now.every((byte) => byte === valueOf(number))).toBe(true);
            if (isZero) content.set(number, 0);
          }
        }
        for (let number = 0; number < PAGES; number += 1) expect(page(number)[99]).toBe(valueOf(number));
        rams.splice(rams.indexOf(ram), 1);
        ram.dispose();
      }),
      { numRuns: 30 },
    );
  });

  it('are given to the host when they were this machine’s own, and only then', () => {
    if (best === 'Copy') return;
    const { ram, write, page } = machine(best);
    for (const number of [5, 6, 100]) write(number, 200);
    expect(page(7)[0]).toBe(8);
    expect(ram.giveBack({ start: 0, count: PAGES })).toBe(best === 'Full' ? 3 : 2);
    expect([page(5)[0], page(6)[0], page(7)[0], page(100)[0]]).toEqual([0, best === 'Full' ? 0 : 200, 8, 0]);
  });

  it('count as written to, also when nothing is written to them afterwards, and writes to them are found', () => {
    if (best !== 'Full') return;
    const { ram, write } = machine('Full');
    for (const number of [5, 6, 7]) write(number, 200);
    const followed = ram.follow();
    ram.giveBack({ start: 5, count: 2 });
    expect([...followed.pages]).toEqual([5, 6]);
    followed.pages.clear();
    ram.harvest();
    expect(followed.pages.count).toBe(0);
    for (const number of [5, 6]) write(number, 1);
    ram.harvest();
    expect([...followed.pages]).toEqual([...PageSet.of(PAGES, [5, 6])]);
  });

  it('stay where they are while somebody else knows where pages are', () => {
    if (best === 'Copy') return;
    const { ram, write, page } = machine(best);
    write(5, 200);
    ram.pagesOut = { readOut: () => undefined };
    expect(ram.giveBack({ start: 0, count: PAGES })).toBe(0);
    expect(page(5)[0]).toBe(200);
  });
});
