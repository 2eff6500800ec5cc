import { closeSync, existsSync, fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { encodePack, type Piece, PIECE_BYTES, decodePackIndex, packIndexBytesOf } from '@corral/memory';
import { connect, type Socket } from 'node:net';
import { until } from '@corral/testing';
import { pino } from 'pino';
import { type PackBytes } from './base-fill.ts';
import { BaseImages, type BaseSource } from './base-images.ts';
import { type BaseMemoryKind, inFiles, inSealedMemory, NoRoom } from './base-memory.ts';

const PAGES = 600;
let folder: string;
let pieces: Piece[];
let pack: Buffer;
let nowMs: number;
let images: BaseImages;
beforeAll(async () => {
  pieces = Array.from({ length: 300 }, (_, at): Piece => ({ number: at * 2, bytes: randomBytes(PIECE_BYTES) }));
  pack = await packOf(pieces);
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'corral-bases-'));
  nowMs = 0;
});
afterEach(() => {
  images.close();
  rmSync(folder, { recursive: true });
});

async function packOf(content: readonly Piece[]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodePack(content)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

let opened: number;
function sourceOf(sha256: string, bytes: Buffer = pack, read?: PackBytes['read']): BaseSource {
  opened = 0;
  return {
    sha256,
    name: sha256,
    pages: PAGES,
    open: async () => {
      opened += 1;
      const tail = packIndexBytesOf(bytes.subarray(-32), bytes.length);
      return {
        index: decodePackIndex(bytes.subarray(-tail), bytes.length),
        read: read ?? (async (offset, length) => bytes.subarray(offset, offset + length)),
        isRemote: false,
        close: async () => undefined,
      };
    },
  };
}

const make = (kinds: readonly BaseMemoryKind[], { maxBytes = 1e9, patienceMs = 500 } = {}): BaseImages =>
  (images = new BaseImages({ directory: folder, maxBytes, log: pino({ level: 'silent' }), now: () => nowMs++, kinds, patienceMs }));

function expected(): Buffer {
  const ram = Buffer.alloc(PAGES * PIECE_BYTES);
  for (const { number, bytes } of pieces) ram.set(bytes, number * PIECE_BYTES);
  return ram;
}

describe.each([
  ['in sealed memory', () => [inSealedMemory]],
  ['in files', () => [inFiles(folder)]],
])('a base %s', (_where, kinds) => {
  it('holds the pages of its pack, and zeros elsewhere, for whoever is told where', async () => {
    const held = await make(kinds()).hold(sourceOf('a'));
    expect(readFileSync(held?.base.ram.path ?? '').equals(expected())).toBe(true);
    expect(images.totals).toMatchObject({ bases: 1, storedBytes: pieces.length * PIECE_BYTES, users: 1, mappedBytes: pieces.length * PIECE_BYTES });
  });

  it('that is given up while it is being filled touches nothing that was opened since', async () => {
    const reads: PromiseWithResolvers<undefined>[] = [];
    const source = sourceOf('a', pack, async (offset, length) => {
      const arrived = Promise.withResolvers<undefined>();
      reads.push(arrived);
      await arrived.promise;
      return pack.subarray(offset, offset + length);
    });
    const held = make(kinds()).hold(source);
    await until(() => reads.length > 0, { timeoutMs: 10_000, what: 'a read' });
    images.close();
    // Its descriptor’s number is another file’s now.
    const others = Array.from({ length: 8 }, (_, at) => openSync(join(folder, `other-${at}`), 'w'));
    let isOver = false;
    void held.finally(() => (isOver = true)).catch(() => undefined);
    await until(
      () => {
        for (const read of reads.splice(0)) read.resolve(undefined);
        return isOver;
      },
      { timeoutMs: 10_000, everyMs: 1, what: 'the end of the reads' },
    );
    expect(others.map((fd) => fstatSync(fd).size)).toEqual(others.map(() => 0));
    for (const fd of others) closeSync(fd);
  });

  it('is made once for all who ask, and counted once for each', async () => {
    const source = sourceOf('a');
    make(kinds());
    const held = await Promise.all([1, 2, 3].map(() => images.hold(source)));
    expect(opened).toBe(1);
    expect(new Set(held.map((each) => each?.base.ram.path)).size).toBe(1);
    expect(images.totals.users).toBe(3);
    // Twice is once.
    held[0]?.release();
    held[0]?.release();
    expect(images.totals.users).toBe(2);
  });

  it('stays while somebody uses it, and goes when there is too much and nobody does', async () => {
    make(kinds(), { maxBytes: pieces.length * PIECE_BYTES });
    const first = await images.hold(sourceOf('a'));
    const second = await images.hold(sourceOf('b'));
    expect(images.totals.bases).toBe(2);
    first?.release();
    expect(images.totals.bases).toBe(1);
    expect(existsSync(second?.base.ram.path ?? '')).toBe(true);
    second?.release();
    // It fits: the next machine from it need not wait.
    expect(images.totals.bases).toBe(1);
    await images.prepare(sourceOf('c'));
    expect(images.totals).toMatchObject({ bases: 1, users: 0 });
  });

  it('is not made of a pack that is damaged anywhere, and leaves nothing behind', async () => {
    make(kinds());
    for (const at of [5, 1000, pack.length >> 1]) {
      const damaged = Buffer.from(pack);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      await expect(images.hold(sourceOf('a', damaged))).rejects.toMatchObject({ name: 'SnapshotError', reason: 'SnapshotCorrupt' });
    }
    expect(images.totals.bases).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
    expect(await images.hold(sourceOf('a'))).toBeDefined();
  });

  it('is not made of a pack that holds pages its machine does not have, or one twice', async () => {
    make(kinds());
    for (const numbers of [[0, PAGES], [3, 3]]) {
      const wrong = await packOf(numbers.map((number) => ({ number, bytes: randomBytes(PIECE_BYTES) })));
      await expect(images.hold(sourceOf('a', wrong))).rejects.toMatchObject({ reason: 'SnapshotCorrupt' });
    }
  });

  it('is tried again when bytes came damaged once', async () => {
    let reads = 0;
    const held = await make(kinds()).hold(
      sourceOf('a', pack, async (offset, length) => (reads++ === 0 ? Buffer.alloc(length) : pack.subarray(offset, offset + length))),
    );
    expect(readFileSync(held?.base.ram.path ?? '').equals(expected())).toBe(true);
  });

  it('is whole in the end when nothing could be read for a while', async () => {
    let reads = 0;
    const source = sourceOf('a', pack, async (offset, length) => {
      reads += 1;
      if (reads <= 4) throw new Error('S3 restarts');
      return pack.subarray(offset, offset + length);
    });
    const held = await make(kinds(), { patienceMs: 30_000 }).hold(source);
    expect(readFileSync(held?.base.ram.path ?? '').equals(expected())).toBe(true);
  });
});

describe('where there is no room', () => {
  const full = (after: number, kind: BaseMemoryKind = inSealedMemory): BaseMemoryKind => (name, sizeBytes) => {
    const memory = kind(name, sizeBytes);
    let writes = 0;
    return {
      get storedBytes() {
        return memory.storedBytes;
      },
      ram: memory.ram,
      write: (bytes, offset) => {
        if (writes++ >= after) throw new NoRoom('full');
        memory.write(bytes, offset);
      },
      finish: () => memory.finish(),
      close: () => memory.close(),
    };
  };

  it('a base becomes a file, and what was begun is given back', async () => {
    const held = await make([full(3), inFiles(folder)]).hold(sourceOf('a'));
    expect(held?.base.ram.type).toBe('File');
    expect(readFileSync(held?.base.ram.path ?? '').equals(expected())).toBe(true);
    expect(openMemfds()).toBe(0);
  });

  it('there is no base, and the machine is to be copied', async () => {
    expect(await make([full(3), full(100, inFiles(folder))]).hold(sourceOf('a'))).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
    expect(images.totals.bases).toBe(0);
  });
});

it('files of an earlier node agent are never used again', async () => {
  writeFileSync(join(folder, 'left'), 'whatever happened to it since');
  make([inFiles(folder)]);
  await images.open();
  expect(readdirSync(folder)).toEqual([]);
});

it('a file that is held is not to be written to by accident', async () => {
  const held = await make([inFiles(folder)]).hold(sourceOf('a'));
  expect(statSync(held?.base.ram.path ?? '').mode & 0o777).toBe(0o400);
});

/** Sealed memory this process has open. */
function openMemfds(): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return targets.filter((target) => target.includes('memfd:corral-base')).length;
}

describe('a base that comes from afar', () => {
  /** Every read waits until it is let through. */
  function slowly(): { source: BaseSource; reads: { readonly offset: number; readonly length: number; go(): void; fail(): void }[]; closed: boolean[] } {
    const reads: { offset: number; length: number; go(): void; fail(): void }[] = [];
    const closed: boolean[] = [];
    const near = sourceOf('far', pack, (offset, length) => {
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
      reads.push({ offset, length, go: () => resolve(pack.subarray(offset, offset + length)), fail: () => reject(new Error('S3 is down')) });
      return promise;
    });
    return { source: { ...near, open: async () => ({ ...(await near.open()), isRemote: true, close: async (isWhole) => void closed.push(isWhole) }) }, reads, closed };
  }
  /** The other end of what a machine's pager says and hears. */
  function ask(path: string): { socket: Socket; numbers: number[]; ended: Promise<void>; until(count: number): Promise<void> } {
    const socket = connect(path);
    const numbers: number[] = [];
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += 4) numbers.push(chunk.readUInt32LE(at));
    });
    socket.on('error', () => undefined);
    return {
      socket, numbers,
      ended: new Promise((resolve) => socket.on('close', () => resolve())),
      until: (count) => until(() => numbers.length >= count, { timeoutMs: 5_000, what: `${count} numbers` }).then(() => undefined),
    };
  }
  const word = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
  const WORDS = Math.ceil(PAGES / 32);
  const BEGINNING = 1 + 2 * WORDS;

  it('is held before its pages are here, gives those that are asked for first, and says when all are', async () => {
    const { source, reads, closed } = slowly();
    const held = await make([inSealedMemory]).hold(source, { mayBePartial: true });
    const pager = ask(held?.base.requestsPath ?? '');
    await pager.until(BEGINNING);
    expect(pager.numbers[0]).toBe(WORDS);
    expect(pager.numbers.slice(1 + WORDS)).toEqual(Array.from({ length: WORDS }, () => 0));
    for (let page = 0; page < PAGES; page += 1) {
      expect(((pager.numbers[1 + (page >> 5)] ?? 0) >>> (page & 31)) & 1).toBe(pieces.some(({ number }) => number === page) ? 1 : 0);
    }
    // What is asked for comes first, and every page of a frame is named when it came.
    pager.socket.write(Buffer.concat([word(1), word(0), word(598)]));
    // Also where it is on its way already, with others.
    await until(() => reads.length === 4, { timeoutMs: 4_000, what: 'reads' });
    reads[3]?.go();
    await until(() => pager.numbers.includes(598), { timeoutMs: 4_000, what: 'the page' });
    expect(pager.numbers.slice(BEGINNING)).not.toContain(0);
    // Whoever comes now is told what is there.
    const second = ask(held?.base.requestsPath ?? '');
    await second.until(BEGINNING);
    for (const page of [0, 598]) expect(((second.numbers[1 + WORDS + (page >> 5)] ?? 0) >>> (page & 31)) & 1).toBe(page === 0 ? 0 : 1);
    expect(images.totals.users).toBe(1);
    for (const read of reads) read.go();
    for (const each of [pager, second]) await until(() => each.numbers.at(-1) === 0xffff_ffff, { timeoutMs: 4_000, what: 'the end' });
    expect(new Set(pager.numbers.slice(BEGINNING, -1))).toEqual(new Set(pieces.map(({ number }) => number)));
    expect(readFileSync(held?.base.ram.path ?? '').equals(expected())).toBe(true);
    await until(() => closed.length > 0, { timeoutMs: 5_000, what: 'the end of the pack' });
    expect(closed).toEqual([true]);
    // The next machine need not ask anybody.
    expect((await images.hold(source, { mayBePartial: true }))?.base.requestsPath).toBeUndefined();
    expect(images.totals.fetchedBytes).toBeGreaterThan(pieces.length * PIECE_BYTES);
    // Who was told to ask and comes late is told that there is nothing to ask.
    const late = ask(held?.base.requestsPath ?? '');
    await late.until(1 + BEGINNING);
    expect(late.numbers.at(-1)).toBe(0xffff_ffff);
    for (const { socket } of [pager, second, late]) socket.destroy();
  });

  it('stays while it is filled or while a machine uses it, however much there is', async () => {
    const { source, reads } = slowly();
    const held = await make([inSealedMemory], { maxBytes: 0 }).hold(source, { mayBePartial: true });
    const other = await images.hold(sourceOf('other'));
    other?.release();
    // Nobody uses it, and it is not whole.
    held?.release();
    expect(images.totals).toMatchObject({ bases: 1, users: 0 });
    const again = await images.hold(source, { mayBePartial: true });
    expect(again?.base.ram).toEqual(held?.base.ram);
    for (const read of reads) read.go();
    await until(() => images.totals.fetchedBytes > 0, { timeoutMs: 5_000, what: 'the whole base' });
    expect(images.totals).toMatchObject({ bases: 1, users: 1 });
    again?.release();
    expect(images.totals.bases).toBe(0);
  });

  it('is held only whole by a machine that cannot wait for pages', async () => {
    const { source, reads } = slowly();
    const held = make([inSealedMemory]).hold(source);
    await until(() => {
      for (const read of reads) read.go();
      return images.totals.bases > 0 && images.totals.users === 1;
    }, { timeoutMs: 5_000, what: 'a user' });
    expect((await held)?.base.requestsPath).toBeUndefined();
  });

  it('that cannot be fetched is lost: its machines are to end, nobody is told that a page is there, and the next start tries again', async () => {
    const { source, reads, closed } = slowly();
    const held = await make([inSealedMemory]).hold(source, { mayBePartial: true });
    const lost: unknown[] = [];
    held?.onLost((error) => lost.push(error));
    const pager = ask(held?.base.requestsPath ?? '');
    await pager.until(BEGINNING);
    pager.socket.write(word(0));
    await until(() => {
      for (const read of reads) read.fail();
      return lost.length > 0;
    }, { timeoutMs: 10_000, what: 'the loss' });
    await pager.ended;
    expect(pager.numbers).toHaveLength(BEGINNING);
    expect([String(lost[0]), closed]).toEqual(['Error: S3 is down', [false]]);
    expect(images.totals.bases).toBe(0);
    held?.release();
    expect((await images.hold(sourceOf('far')))?.base.ram.type).toBe('Sealed');
  });

  it('that finds no room loses its machines, and is a file for those that come after', async () => {
    const noRoom: BaseMemoryKind = (name, sizeBytes) => {
      const memory = inSealedMemory(name, sizeBytes);
      return { get storedBytes() { return 0; }, ram: memory.ram, finish: () => memory.finish(), close: () => memory.close(), write: () => { throw new NoRoom('full'); } };
    };
    const { source, reads } = slowly();
    const held = await make([noRoom, inFiles(folder)]).hold(source, { mayBePartial: true });
    const lost: unknown[] = [];
    held?.onLost((error) => lost.push(error));
    await until(() => {
      for (const read of reads) read.go();
      return lost.length > 0;
    }, { timeoutMs: 10_000, what: 'the loss' });
    held?.release();
    expect((await images.hold(sourceOf('far'), { mayBePartial: true }))?.base.ram.type).toBe('File');
  });
});

it('what the first machine from a base touches is kept once, and only where nobody knew it', async () => {
  const kept: (readonly number[])[] = [];
  const workingSet = { read: async () => [], write: async (frames: readonly number[]) => void kept.push(frames) };
  images = new BaseImages({ directory: folder, maxBytes: 1e9, log: pino({ level: 'silent' }), now: () => nowMs++, kinds: [inSealedMemory], observeAfterMs: 0 });
  const held = await images.hold({ ...sourceOf('seen'), workingSet });
  held?.begins(process.pid);
  held?.begins(process.pid);
  await until(() => kept.length > 0, { timeoutMs: 4_000, what: 'what was touched' });
  expect(kept).toEqual([[]]);
  const known = await images.hold({ ...sourceOf('known'), workingSet: { ...workingSet, read: async () => [1] } });
  known?.begins(process.pid);
  await new Promise((resolve) => setImmediate(resolve));
  expect(kept).toHaveLength(1);
});
