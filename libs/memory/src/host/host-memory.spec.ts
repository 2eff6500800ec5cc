import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PIECE_BYTES } from '../pack.ts';
import { HostMemory } from './host-memory.ts';
import { loadLibc, type Libc } from './libc.ts';
import { MappingFailed } from './mapping-failed.ts';

const PAGES = 16;
const WASM_PAGE_BYTES = 65_536;
const BYTES = PAGES * PIECE_BYTES;

let folder: string;
let fd: number;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'corral-memory-'));
  path = join(folder, 'base');
  writeFileSync(path, Buffer.from(Array.from({ length: BYTES }, (_, at) => (at >> 12) + 1)));
  fd = openSync(path, 'r');
});
afterEach(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

const { memory, capability } = HostMemory.probe();
const guest = (): WebAssembly.Memory => new WebAssembly.Memory({ initial: BYTES / WASM_PAGE_BYTES, maximum: 64 });

// Where the host has no such memory there is nothing to hold to these guarantees; every Linux has.
(memory ? describe : describe.skip)('memory mapped from a file', () => {
  const map = (wasm: WebAssembly.Memory): Uint8Array => {
    const place = new Uint8Array(wasm.buffer, 0, BYTES);
    memory?.mapPrivate(place, fd);
    return place;
  };

  it('shows the file’s content', () => {
    expect(Buffer.from(map(guest())).equals(readFileSync(path))).toBe(true);
  });

  it('keeps writes to itself: neither the file nor another mapping of it changes', () => {
    const [one, other] = [map(guest()), map(guest())];
    one.fill(0xee);
    expect(other[0]).toBe(1);
    expect(readFileSync(path)[0]).toBe(1);
  });

  it('stays when the WebAssembly memory grows', () => {
    const wasm = guest();
    map(wasm).fill(0xaa, 0, PIECE_BYTES);
    wasm.grow(8);
    const view = new Uint8Array(wasm.buffer);
    expect([view[0], view[PIECE_BYTES], view[BYTES]]).toEqual([0xaa, 2, 0]);
  });

  it('stays when the file is removed', () => {
    const place = map(guest());
    rmSync(path);
    expect(place[BYTES - 1]).toBe(PAGES);
  });

  it('costs no memory of its own where it is only read', () => {
    const place = map(guest());
    expect(place.reduce((sum, byte) => sum + byte, 0)).toBeGreaterThan(0);
    expect(privateKib(place)).toBe(0);
    place[0] = 9;
    expect(privateKib(place)).toBe(4);
  });

  it('refuses a place that is no whole number of pages', () => {
    expect(() => memory?.mapPrivate(new Uint8Array(guest().buffer, 100, PIECE_BYTES), fd)).toThrow(MappingFailed);
    expect(() => memory?.mapPrivate(new Uint8Array(guest().buffer, 0, 100), fd)).toThrow(MappingFailed);
  });

  it('tells when the host refuses', () => {
    expect(() => memory?.mapPrivate(new Uint8Array(guest().buffer, 0, BYTES), 1_000_000)).toThrow(MappingFailed);
  });

  /** Anonymous memory of the mapping that begins at this place. Source: proc_pid_smaps(5). */
  function privateKib(place: Uint8Array): number {
    const mine = readFileSync('/proc/self/smaps', 'utf8').split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/).filter((text) => text.includes(path));
    expect(place.length).toBe(BYTES);
    return mine.reduce((sum, text) => sum + Number(/^Anonymous:\s+(\d+) kB/m.exec(text)?.[1] ?? 0), 0);
  }
});

(memory ? it : it.skip)('gives back zero pages and keeps all others, and what was given back reads as zero', () => {
  const pages = 256;
  const place = new Uint8Array(new WebAssembly.Memory({ initial: (pages * PIECE_BYTES) / WASM_PAGE_BYTES }).buffer);
  place.fill(1);
  for (let page = 0; page < pages; page += 1) if (page % 3 !== 0) place.fill(0, page * PIECE_BYTES, (page + 1) * PIECE_BYTES);
  const expected = Buffer.from(place);
  expect(memory?.dropZeroPages(place)).toBe(expected.filter((byte) => byte === 0).length);
  expect(Buffer.from(place).equals(expected)).toBe(true);
  // A place that begins in the middle of a page keeps that page.
  expect(memory?.dropZeroPages(place.subarray(PIECE_BYTES + 1, 3 * PIECE_BYTES))).toBe(PIECE_BYTES);
});

const cannot = (what: string) => (): never => {
  throw new Error(what);
};

it('a host that cannot map is said so, with the reason, and machines are copied', () => {
  expect(HostMemory.probe({ load: cannot('no C library here') })).toEqual({ memory: undefined, capability: { mode: 'Copy', reason: 'no C library here' } });
});

it('a host that maps something else than it was asked to is not trusted', () => {
  const load = (): Libc => ({ ...loadLibc(), mmap: (address) => address });
  expect(HostMemory.probe({ load }).capability).toEqual({ mode: 'Copy', reason: 'a mapped page does not show its file' });
});

(memory ? describe : describe.skip)('a host that maps but does not track', () => {
  it('says so where it has no userfaultfd, and still maps', () => {
    const load = (): Libc => ({ ...loadLibc(), syscall: () => -1, ioctl: () => -1 });
    const probed = HostMemory.probe({ load });
    expect(probed.capability.mode).toBe('MapOnly');
    expect(probed.capability.reason).toMatch(/userfaultfd/);
    expect(probed.memory).toBeDefined();
  });

  it('is not trusted to track when it forgets what was written to', () => {
    const libc = loadLibc();
    const isScan = (request: number): boolean => (request & 0xff) === 16;
    const load = (): Libc => ({
      ...libc,
      ioctl: (fd, request, argument) => {
        const answer = libc.ioctl(fd, request, argument);
        return isScan(request) ? 0 : answer;
      },
    });
    if (capability.mode !== 'Full') return;
    expect(HostMemory.probe({ load }).capability).toEqual({ mode: 'MapOnly', reason: 'the kernel does not tell which pages were written to' });
  });
});

it('uses no better mode than it is told to', () => {
  expect(HostMemory.probe({ atBest: 'Copy' })).toEqual({ memory: undefined, capability: { mode: 'Copy', reason: 'configured' } });
  if (memory) expect(HostMemory.probe({ atBest: 'MapOnly' }).capability).toEqual({ mode: 'MapOnly', reason: 'configured' });
});

it('says no reason exactly in the best mode', () => expect(capability.reason === '').toBe(capability.mode === 'Full'));
