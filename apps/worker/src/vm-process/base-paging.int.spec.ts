import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PAGER_HEARTBEAT_FILE } from '@corral/contracts';
import { decodePackIndex, encodePack, GuestRam, HostMemory, MemoryBlock, PAGE_BYTES, packIndexBytesOf } from '@corral/memory';
import { until } from '@corral/testing';
import { pino } from 'pino';
import { BaseImages, type HeldBase } from '../bases/base-images.ts';
import { inSealedMemory } from '../bases/base-memory.ts';
import { BasePaging } from './base-paging.ts';
import { openBase } from './memory.restore.ts';

const PAGES = 64;

let home: string;
let bases: BaseImages;
/** The pack is read once it resolves. */
let read: PromiseWithResolvers<void>;
let held: HeldBase;
let block: MemoryBlock;
let ram: GuestRam;
let paging: BasePaging;

async function holdPartial(): Promise<HeldBase> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodePack([{ number: 0, bytes: randomBytes(PAGE_BYTES) }])) chunks.push(chunk);
  const pack = Buffer.concat(chunks);
  const index = decodePackIndex(pack.subarray(-packIndexBytesOf(pack.subarray(-32), pack.length)), pack.length);
  const base = await bases.hold(
    {
      sha256: 'base', name: 'base', pages: PAGES,
      open: () =>
        Promise.resolve({
          index, isRemote: true,
          read: async (offset, length) => {
            await read.promise;
            return pack.subarray(offset, offset + length);
          },
          close: () => Promise.resolve(),
        }),
    },
    { mayBePartial: true },
  );
  if (!base) throw new Error('there is no base');
  return base;
}

// Nobody here looks at the memory: who would answer is this process itself.
(HostMemory.probe().capability.mode === 'Full' ? describe : describe.skip)('while pages of a base may be missing', () => {
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'corral-paging-'));
    bases = new BaseImages({ directory: home, maxBytes: 0, log: pino({ level: 'silent' }), now: () => performance.now(), kinds: [inSealedMemory] });
    read = Promise.withResolvers();
    held = await holdPartial();
    const probed = HostMemory.probe();
    const opened = openBase(held.base, PAGES * PAGE_BYTES);
    if (!probed.memory || !opened || held.base.requestsPath === undefined) throw new Error('there is nothing to page');
    block = MemoryBlock.anonymous(probed.memory.libc, PAGES * PAGE_BYTES);
    const bytes = new Uint8Array(block.buffer);
    ram = new GuestRam(() => [bytes], probed);
    const begun = await BasePaging.begin(ram, opened, held.base.requestsPath, await mkdtemp(join(home, 'machine-')));
    opened.close();
    if (!begun) throw new Error('it waited for the whole base');
    paging = begun;
  });
  afterEach(async () => {
    read.resolve();
    await paging.end();
    ram.dispose();
    block.free();
    held.release();
    bases.close();
    await rm(home, { recursive: true, force: true });
  });

  it('nobody else may answer for missing pages before the thread that does is gone', async () => {
    const ended = Promise.all([paging.end(), paging.end()]);
    expect(paging.isActive).toBe(true);
    await ended;
    expect(paging.isActive).toBe(false);
  });

  it('the thread shows that it lives, and not a moment longer, also where the machine’s folder has another name by then', async () => {
    const folder = join(home, 'claimed');
    const [machine] = (await readdir(home)).filter((name) => name.startsWith('machine-'));
    const beat = (): Promise<string> => readFile(join(folder, PAGER_HEARTBEAT_FILE), 'utf8').catch(() => '');
    await rename(join(home, machine ?? ''), folder);
    await until(async () => (await beat()).startsWith(`${process.pid} `), { timeoutMs: 10_000, what: 'a beat' });
    read.resolve();
    await until(() => !paging.isActive, { timeoutMs: 10_000, what: 'the whole base' });
    // Whoever watches would take a beat that never changes for a thread that died.
    expect(await beat()).toBe('');
  });
});
