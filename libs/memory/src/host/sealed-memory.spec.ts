import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PIECE_BYTES } from '../pack.ts';
import { HostMemory } from './host-memory.ts';
import { SealedMemory, SealingFailed, sealingCalls, type SealingCalls } from './sealed-memory.ts';

const PAGES = 16;
const BYTES = PAGES * PIECE_BYTES;
const { memory: host } = HostMemory.probe();

let memory: SealedMemory;
beforeEach(() => {
  memory = SealedMemory.create('test', BYTES);
});
afterEach(() => memory.close());

const pages = (...values: number[]): Buffer => Buffer.concat(values.map((value) => Buffer.alloc(PIECE_BYTES, value)));
function read(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  expect(readSync(fd, bytes, 0, length, offset)).toBe(length);
  return bytes;
}

describe('sealed memory', () => {
  it('holds what was written, and zeros elsewhere', () => {
    memory.write(pages(1, 0, 2), 3 * PIECE_BYTES);
    memory.seal();
    expect(read(memory.fd, 2 * PIECE_BYTES, 5 * PIECE_BYTES).equals(pages(0, 1, 0, 2, 0))).toBe(true);
  });

  it('takes memory only for pages that are not all zero', () => {
    expect(memory.storedBytes).toBe(0);
    memory.write(pages(0, 1, 0, 0, 2, 0), 0);
    expect(memory.storedBytes).toBe(2 * PIECE_BYTES);
  });

  it('is opened by another process, as long as it is held here', () => {
    memory.write(pages(7), 0);
    memory.seal();
    const other = execFileSync(process.execPath, ['-e', `process.stdout.write(require('fs').readFileSync('${memory.place.path}').subarray(0, 4096))`]);
    expect(other.equals(pages(7))).toBe(true);
    const { place } = memory;
    memory.close();
    expect(() => SealedMemory.open(place)).toThrow(SealingFailed);
  });

  it('refuses to be written, shortened, lengthened or unsealed once it is sealed, also by its owner', () => {
    memory.write(pages(1), 0);
    memory.seal();
    expect(() => memory.write(pages(2), 0)).toThrow(SealingFailed);
    expect(() => writeSync(memory.fd, pages(2), 0, PIECE_BYTES, 0)).toThrow(/EPERM/);
    expect(() => ftruncateSync(memory.fd, PIECE_BYTES)).toThrow(/EPERM/);
    expect(() => ftruncateSync(memory.fd, 2 * BYTES)).toThrow(/EPERM/);
    expect(() => truncateSync(memory.place.path, 0)).toThrow(/EPERM|EACCES/);
    expect(() => writeFileSync(memory.place.path, pages(2))).toThrow(/EPERM|EACCES/);
    expect(sealingCalls().fcntl(memory.fd, 1033, 0)).toBe(-1);
    expect(read(memory.fd, 0, PIECE_BYTES).equals(pages(1))).toBe(true);
  });

  it('cannot be shortened even while it is filled: who maps it early never loses a page', () => {
    expect(() => ftruncateSync(memory.fd, PIECE_BYTES)).toThrow(/EPERM/);
    memory.write(pages(1), BYTES - PIECE_BYTES);
    expect(memory.isSealed).toBe(false);
  });

  it('stays mapped when whoever made it closes it', () => {
    if (!host) return;
    memory.write(pages(5), 0);
    memory.seal();
    const fd = SealedMemory.open(memory.place);
    const place = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer);
    host.mapPrivate(place, fd);
    closeSync(fd);
    memory.close();
    expect([place[0], place[PIECE_BYTES]]).toEqual([5, 0]);
    place.fill(9);
    expect([place[0], place[BYTES - 1]]).toEqual([9, 9]);
  });

  it('shows pages written later to whoever mapped it before, where they did not write themselves', () => {
    if (!host) return;
    const place = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer);
    host.mapPrivate(place, memory.fd);
    place[0] = 9;
    memory.write(pages(1, 2), 0);
    expect([place[0], place[1], place[PIECE_BYTES]]).toEqual([9, 0, 2]);
  });

  it('is not mistaken for what has its number now', () => {
    const { place } = memory;
    memory.close();
    const others = [SealedMemory.create('other', BYTES)];
    const path = `/proc/${process.pid}/fd/${others[0]?.fd ?? -1}`;
    expect(() => SealedMemory.open({ ...place, path })).toThrow('another than was meant');
    for (const other of others) other.close();
  });

  it('is not mistaken for a file that anybody may shorten', () => {
    const folder = mkdtempSync(join(tmpdir(), 'corral-sealed-'));
    const path = join(folder, 'file');
    writeFileSync(path, pages(1));
    expect(() => SealedMemory.open({ path, inode: 1, sizeBytes: PIECE_BYTES })).toThrow('not sealed');
    rmSync(folder, { recursive: true });
  });

  it('writes to nobody else’s file once it is closed', () => {
    memory.close();
    expect(() => memory.write(pages(1), 0)).toThrow(SealingFailed);
  });

  it('refuses parts of pages, and what lies beyond its end', () => {
    expect(() => memory.write(new Uint8Array(100), 0)).toThrow(SealingFailed);
    expect(() => memory.write(pages(1), 100)).toThrow(SealingFailed);
    expect(() => memory.write(pages(1, 2), BYTES - PIECE_BYTES)).toThrow(SealingFailed);
    expect(() => SealedMemory.create('odd', 100)).toThrow(SealingFailed);
  });

  it('that the host does not have is an error which says so, and leaves nothing open', () => {
    const calls = (more: Partial<SealingCalls>): SealingCalls => ({ ...sealingCalls(), errno: () => 38, ...more });
    expect(() => SealedMemory.create('none', BYTES, calls({ memfdCreate: () => -1 }))).toThrow('memfd_create failed with errno 38');
    const before = openSync('/dev/null', 'r');
    expect(() => SealedMemory.create('none', BYTES, calls({ fcntl: () => -1 }))).toThrow('sealing failed with errno 38');
    const after = openSync('/dev/null', 'r');
    expect(after).toBe(before + 1);
    closeSync(before);
    closeSync(after);
  });
});
