import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PAGE_BYTES } from '../machine-pages.ts';
import { BaseView } from './base-view.ts';
import { HostMemory } from './host-memory.ts';
import { FAILED, loadLibc, SEEK_DATA, SEEK_HOLE, type Libc } from './libc.ts';

const PAGES = 64;
const EINVAL = 22;

(HostMemory.probe().memory ? describe : describe.skip)('pages that a base stores', () => {
  let folder: string;
  let fd: number;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'corral-base-view-'));
    fd = openSync(join(folder, 'base'), 'w+');
    ftruncateSync(fd, PAGES * PAGE_BYTES);
    writeSync(fd, Buffer.alloc(PAGE_BYTES, 1), 0, PAGE_BYTES, 16 * PAGE_BYTES);
    writeSync(fd, Buffer.alloc(PAGE_BYTES, 2), 0, PAGE_BYTES, 48 * PAGE_BYTES);
  });
  afterEach(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  const stored = (libc: Libc): number[] => {
    const view = BaseView.ofFile(libc, fd, PAGES);
    const pages = [...view.stored];
    view.close();
    return pages;
  };

  it('are those of its file that are not in a hole', () => {
    expect(stored(loadLibc())).toEqual([16, 48]);
  });

  const never = (): boolean => true;
  const later = (offset: number): boolean => offset > 16 * PAGE_BYTES;
  it.each([
    ['data at all', SEEK_DATA, never, 0],
    ['holes at all', SEEK_HOLE, never, 16],
    ['data from some place on', SEEK_DATA, later, 17],
    ['holes from some place on', SEEK_HOLE, later, 48],
  ])('are all that it may have where the file system does not tell of %s', (_, asked, fails, first) => {
    const libc = loadLibc();
    let failed = false;
    const refusing: Libc = {
      ...libc,
      seek: (file, offset, whence) => ((failed = whence === asked && fails(offset)) ? FAILED : libc.seek(file, offset, whence)),
      errno: () => (failed ? EINVAL : libc.errno()),
    };
    const told = first > 16 ? [16] : [];
    expect(stored(refusing)).toEqual([...told, ...Array.from({ length: PAGES - first }, (__, page) => first + page)]);
  });
});
