import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prune, touch } from './cache-pruning.ts';

const NOW = new Date('2026-01-02T00:00:00Z');
const hoursAgo = (hours: number): Date => new Date(NOW.getTime() - hours * 3_600_000);
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'corral-cache-'));
  for (const [name, usedAt] of [
    ['new', hoursAgo(1)],
    ['old', hoursAgo(20)],
    ['older', hoursAgo(30)],
  ] as const) {
    await writeFile(join(directory, name), Buffer.alloc(100));
    await utimes(join(directory, name), usedAt, usedAt);
  }
  await mkdir(join(directory, 'folder', 'within'), { recursive: true });
  await writeFile(join(directory, 'folder', 'within', 'file'), Buffer.alloc(1_000));
  await utimes(join(directory, 'folder'), hoursAgo(25), hoursAgo(25));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('prune', () => {
  it('removes nothing while everything fits', async () => {
    expect(await prune({ directory, maxBytes: 1_000_000, needed: new Set(), now: NOW })).toEqual([]);
  });

  it('removes what was not used for longest, folders whole, until the rest fits', async () => {
    expect(await prune({ directory, maxBytes: 250, needed: new Set(), now: NOW })).toEqual(['older', 'folder']);
    expect((await readdir(directory)).sort()).toEqual(['new', 'old']);
  });

  it('never removes what is needed, nor what was used a moment ago', async () => {
    await touch(join(directory, 'folder'), new Date(NOW.getTime() - 60_000));
    expect(await prune({ directory, maxBytes: 0, needed: new Set(['older']), now: NOW })).toEqual(['old', 'new']);
    expect((await readdir(directory)).sort()).toEqual(['folder', 'older']);
  });
});
