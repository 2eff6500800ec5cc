import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { GuestRam } from './guest-ram.ts';
import { HostMemory, type MemoryMode, type ProbedMemory } from './host/host-memory.ts';
import { loadLibc } from './host/libc.ts';
import { SealedMemory } from './host/sealed-memory.ts';
import { PAGE_BYTES } from './machine-pages.ts';
import { PageCopy } from './page-copy.ts';
import { PageSet } from './page-set.ts';

const RAM_PAGES = 192;
const SCREEN_PAGES = 32;
const PAGES = RAM_PAGES + SCREEN_PAGES;
const WASM_PAGE = 65_536;
/** A page lies between RAM and screen, as in a machine. */
const SCREEN_AT = (RAM_PAGES + 1) * PAGE_BYTES;

const best = HostMemory.probe().capability.mode;
const RANK: readonly MemoryMode[] = ['Copy', 'MapOnly', 'Full'];
const possible = (mode: MemoryMode): boolean => RANK.indexOf(mode) <= RANK.indexOf(best);

let folder: string;
const rams: GuestRam[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'corral-guest-ram-'));
});
afterEach(() => {
  for (const ram of rams.splice(0)) ram.dispose();
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Machine {
  readonly ram: GuestRam;
  readonly wasm: WebAssembly.Memory;
  write(page: number, value: number): void;
  read(page: number): number;
  image(): Buffer;
}

function machine(host: ProbedMemory): Machine {
  const wasm = new WebAssembly.Memory({ initial: Math.ceil((SCREEN_AT + SCREEN_PAGES * PAGE_BYTES) / WASM_PAGE), maximum: 100 });
  const views = (): Uint8Array[] => [
    new Uint8Array(wasm.buffer, 0, RAM_PAGES * PAGE_BYTES),
    new Uint8Array(wasm.buffer, SCREEN_AT, SCREEN_PAGES * PAGE_BYTES),
  ];
  const ram = new GuestRam(views, host);
  rams.push(ram);
  const whole = (): Uint8Array => new Uint8Array(wasm.buffer);
  const at = (page: number): number => (page < RAM_PAGES ? page * PAGE_BYTES : SCREEN_AT + (page - RAM_PAGES) * PAGE_BYTES);
  return {
    ram,
    wasm,
    write: (page, value) => whole().fill(value, at(page), at(page) + PAGE_BYTES),
    read: (page) => whole()[at(page)] ?? -1,
    image: () => Buffer.concat(views()),
  };
}

const pageOf = (value: number): Buffer => Buffer.alloc(PAGE_BYTES, value);
/** Page n is full of n + 1, but every fifth one is zero. */
const baseValue = (page: number): number => (page % 5 === 0 ? 0 : page + 1);
const baseImage = (): Buffer => Buffer.concat(Array.from({ length: PAGES }, (_, page) => pageOf(baseValue(page))));

/** A base as sealed memory, and as a regular file. */
const kinds: readonly [string, (use: (fd: number) => void) => void][] = [
  ['sealed memory', (use) => {
    const memory = SealedMemory.create('base', PAGES * PAGE_BYTES);
    memory.write(baseImage(), 0);
    memory.seal();
    use(memory.fd);
    memory.close();
  }],
  ['a regular file', (use) => {
    const path = join(folder, `base-${Math.random()}`);
    const writing = openSync(path, 'w');
    ftruncateSync(writing, PAGES * PAGE_BYTES);
    for (let page = 0; page < PAGES; page += 1) if (baseValue(page)) writeSync(writing, pageOf(baseValue(page)), 0, PAGE_BYTES, page * PAGE_BYTES);
    closeSync(writing);
    const fd = openSync(path, 'r');
    use(fd);
    closeSync(fd);
    rmSync(path);
  }],
];

const based = (mode: MemoryMode, withBase: (use: (fd: number) => void) => void): Machine => {
  const made = machine(HostMemory.probe({ atBest: mode }));
  withBase((fd) => made.ram.mapBase(fd, PAGES));
  made.ram.track();
  return made;
};

const values = fc.array(fc.tuple(fc.nat(PAGES - 1), fc.nat(255)), { maxLength: 60 });

(possible('Full') ? describe.each(kinds) : describe.skip.each(kinds))('in mode Full, over %s', (_what, withBase) => {
  it('every page that was written to is found, once, in any intervals, and hardly any other', () => {
    const { ram, write } = based('Full', withBase);
    const followed = ram.follow();
    fc.assert(
      fc.property(values, (writes) => {
        followed.pages.clear();
        for (const [page, value] of writes) write(page, value);
        ram.harvest();
        expect([...followed.pages]).toEqual([...PageSet.of(PAGES, writes.map(([page]) => page))]);
      }),
      { numRuns: 40 },
    );
  });

  it('a userfaultfd that is closed in use is told, and no write is taken for none', () => {
    const { ram, write } = based('Full', withBase);
    ram.follow();
    write(3, 9);
    ram.userFault?.close();
    expect(() => ram.harvest()).toThrow('looking at pages failed');
  });

  it('each who follows hears of what was written to since it began', () => {
    const { ram, write } = based('Full', withBase);
    write(1, 9);
    const first = ram.follow();
    write(2, 9);
    const second = ram.follow();
    write(200, 9);
    ram.harvest();
    first.stop();
    write(4, 9);
    ram.harvest();
    expect([[...first.pages], [...second.pages]]).toEqual([[2, 200], [4, 200]]);
  });

  it('pages only read are never found, nor is anything of another machine', () => {
    const [one, other] = [based('Full', withBase), based('Full', withBase)];
    const [first, second] = [one.ram.follow(), other.ram.follow()];
    expect(one.image().equals(baseImage())).toBe(true);
    other.write(7, 1);
    one.ram.harvest();
    other.ram.harvest();
    expect([first.pages.count, [...second.pages]]).toEqual([0, [7]]);
    expect(one.read(7)).toBe(8);
  });

  it('goes on when the WebAssembly memory grows: views are new, pages stay where they are', () => {
    const { ram, wasm, write, read } = based('Full', withBase);
    const followed = ram.follow();
    write(3, 77);
    wasm.grow(8);
    write(6, 78);
    ram.harvest();
    expect([...followed.pages]).toEqual([3, 6]);
    const copied = new Uint8Array(PAGE_BYTES);
    ram.copyRun({ start: 3, count: 1 }, copied);
    expect([read(3), copied[5]]).toEqual([77, 77]);
  });

  it('is tracked anew after it was mapped anew', () => {
    const { ram, write } = based('Full', withBase);
    write(1, 1);
    withBase((fd) => ram.mapBase(fd, PAGES));
    const followed = ram.follow();
    write(2, 1);
    ram.harvest();
    expect([...followed.pages]).toEqual([2]);
  });
});

it.each([['Full'], ['MapOnly']] as const)('in mode %s, a copy is compared with the base also where that has holes', (mode) => {
  if (!possible(mode)) return;
  const { ram, write } = based(mode, kinds[0]![1]);
  write(5, 0);
  write(10, 3);
  write(11, 12);
  write(12, 1);
  const copy = new PageCopy(ram, loadLibc());
  for (const page of [5, 10, 11, 12]) copy.take({ start: page, count: 1 });
  expect([5, 10, 11, 12, 13].map((page) => copy.isBaseContent(page))).toEqual([true, false, true, false, false]);
  copy.free();
});

it('in mode MapOnly, what differs from the base is found, exactly', () => {
  if (!possible('MapOnly')) return;
  fc.assert(
    fc.property(values, (writes) => {
      const { ram, write } = based('MapOnly', kinds[1]![1]);
      const content = new Map(writes);
      for (const [page, value] of content) write(page, value);
      const expected = [...content].filter(([page, value]) => value !== baseValue(page) % 256).map(([page]) => page);
      expect([...ram.differing()]).toEqual([...PageSet.of(PAGES, expected)]);
      rams.splice(rams.indexOf(ram), 1);
      ram.dispose();
    }),
    { numRuns: 25 },
  );
});

it('in mode Copy, whatever is not zero is found', () => {
  const { ram, write } = machine(HostMemory.probe({ atBest: 'Copy' }));
  write(3, 1);
  write(RAM_PAGES + 1, 1);
  write(4, 0);
  expect([...ram.differing()]).toEqual([3, RAM_PAGES + 1]);
  expect(ram.harvest()).toBe(0);
});

it.each([['Full'], ['MapOnly']] as const)('in mode %s, a layer shows over the base, mapped where runs are long and copied where they are many', (mode) => {
  if (!possible(mode)) return;
  const many = 3_000;
  const wasm = new WebAssembly.Memory({ initial: (many * 2 * PAGE_BYTES) / WASM_PAGE + 1 });
  const ram = new GuestRam(() => [new Uint8Array(wasm.buffer, 0, many * 2 * PAGE_BYTES)], HostMemory.probe({ atBest: mode }));
  rams.push(ram);
  // Every other page alone, and one long run at the end.
  const numbers = Uint32Array.from([...Array.from({ length: many - 200 }, (_, at) => at * 2), ...Array.from({ length: 200 }, (_, at) => 2 * many - 200 + at)]);
  const layer = SealedMemory.create('layer', numbers.length * PAGE_BYTES);
  numbers.forEach((_, at) => layer.write(pageOf((at % 255) + 1), at * PAGE_BYTES));
  layer.seal();
  const base = SealedMemory.create('base', many * 2 * PAGE_BYTES);
  base.seal();
  ram.mapBase(base.fd, many * 2);
  ram.track();
  ram.mapLayer(layer.fd, numbers);
  for (const { fd } of [base, layer]) closeSync(fd);
  const bytes = new Uint8Array(wasm.buffer);
  numbers.forEach((page, at) => expect(bytes[page * PAGE_BYTES]).toBe((at % 255) + 1));
  expect(bytes[PAGE_BYTES]).toBe(0);
  const followed = ram.follow();
  bytes[(2 * many - 1) * PAGE_BYTES] = 0;
  bytes[0] = 0;
  ram.harvest();
  expect([...followed.pages]).toEqual(mode === 'Full' ? [0, 2 * many - 1] : []);
});

it.each(RANK.map((mode) => [mode]))('in mode %s, pages are put and copied across the end of RAM', (mode) => {
  if (!possible(mode)) return;
  const { ram, read } = machine(HostMemory.probe({ atBest: mode }));
  const bytes = Buffer.concat([pageOf(1), pageOf(2), pageOf(3)]);
  ram.put(RAM_PAGES - 1, bytes);
  expect([RAM_PAGES - 1, RAM_PAGES, RAM_PAGES + 1].map(read)).toEqual([1, 2, 3]);
  const copied = new Uint8Array(bytes.length);
  ram.copyRun({ start: RAM_PAGES - 1, count: 3 }, copied);
  expect(bytes.equals(copied)).toBe(true);
  expect(() => ram.put(PAGES - 1, Buffer.alloc(2 * PAGE_BYTES))).toThrow(RangeError);
});

it('a copy holds what pages were when they were copied last, in whatever order', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ start: fc.nat(PAGES - 1), count: fc.integer({ min: 1, max: 40 }), value: fc.nat(255) }), { maxLength: 12 }), (steps) => {
      const { ram, write } = machine(HostMemory.probe({ atBest: 'Copy' }));
      const copy = new PageCopy(ram, undefined);
      const expected = new Map<number, number>();
      for (const { start, count, value } of steps) {
        const end = Math.min(start + count, PAGES);
        for (let page = start; page < end; page += 1) {
          write(page, value);
          expected.set(page, value);
        }
        copy.take({ start, count: end - start });
        for (let page = start; page < end; page += 1) write(page, 0xff);
      }
      const held = new Map([...copy.pieces(copy.pages())].map(({ number, bytes }) => [number, bytes.every((byte) => byte === bytes[0]) ? bytes[0] : -1]));
      expect(held).toEqual(new Map([...expected].sort(([one], [other]) => one - other)));
      expect(copy.count).toBe(expected.size);
    }),
    { numRuns: 50 },
  );
});

describe.each([['Full'], ['MapOnly']] as const)('in mode %s', (mode) => {
  if (!possible(mode)) return;

  it('what is the base’s again is shared again, with the same content, and nothing that was written to is forgotten', () => {
    const { ram, write, read } = based(mode, kinds[0]![1]);
    const followed = ram.follow();
    write(1, 2);
    write(5, 0);
    write(7, 99);
    expect(ram.shareAgain()).toBe(2);
    expect([1, 5, 7].map(read)).toEqual([2, 0, 99]);
    expect([...ram.differing()]).toEqual([7]);
    ram.harvest();
    expect([...followed.pages]).toEqual(mode === 'Full' ? [1, 5, 7] : []);
    expect(ram.shareAgain()).toBe(0);
  });

  it('pages of a layer are never given back to a base that differs from it', () => {
    const { ram, write, read } = based(mode, kinds[0]![1]);
    const layer = SealedMemory.create('layer', PAGE_BYTES);
    layer.write(pageOf(200), 0);
    layer.seal();
    ram.mapLayer(layer.fd, Uint32Array.of(3));
    layer.close();
    // As the base has it.
    write(3, 4);
    ram.shareAgain();
    expect(read(3)).toBe(4);
  });

  it('what is discarded is what the base has, and counts as written to', () => {
    const { ram, write, read } = based(mode, kinds[0]![1]);
    const followed = ram.follow();
    for (const page of [RAM_PAGES - 1, RAM_PAGES]) write(page, 77);
    ram.discard({ start: RAM_PAGES - 1, count: 2 });
    expect([RAM_PAGES - 1, RAM_PAGES].map(read)).toEqual([RAM_PAGES - 1, RAM_PAGES].map((page) => baseValue(page) % 256));
    expect([...followed.pages]).toEqual([RAM_PAGES - 1, RAM_PAGES]);
  });
});

it('without a base, what is not zero differs, and zeros are given back', () => {
  if (!possible('MapOnly')) return;
  const { ram, write, read } = machine(HostMemory.probe());
  ram.track();
  const followed = ram.follow();
  write(2, 0);
  write(9, 1);
  expect([...ram.differing()]).toEqual([9]);
  // The machine is WebAssembly memory: pages that were never touched are not there to be given back.
  expect(ram.shareAgain()).toBeGreaterThanOrEqual(1);
  expect([read(2), read(9)]).toEqual([0, 1]);
  expect(followed.pages.has(2)).toBe(best === 'Full');
});

it('a base that cannot be mapped leaves the machine what it was', () => {
  if (!possible('MapOnly')) return;
  const { ram, write } = machine(HostMemory.probe());
  write(9, 1);
  expect(() => ram.mapBase(-1, PAGES)).toThrow('mmap failed');
  expect([ram.hasBase, [...ram.differing()]]).toEqual([false, [9]]);
});
