import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { encodePack, type Piece, PIECE_BYTES, decodePackIndex, packIndexBytesOf } from '@corral/memory';
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
    pages: PAGES,
    open: async () => {
      opened += 1;
      const tail = packIndexBytesOf(bytes.subarray(-32), bytes.length);
      return {
        index: decodePackIndex(bytes.subarray(-tail), bytes.length),
        read: read ?? (async (offset, length) => bytes.subarray(offset, offset + length)),
        close: async () => undefined,
      };
    },
  };
}

const make = (kinds: readonly BaseMemoryKind[], maxBytes = 1e9): BaseImages =>
  (images = new BaseImages({ directory: folder, maxBytes, log: pino({ level: 'silent' }), now: () => nowMs++, kinds }));

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
    expect(images.totals).toEqual({ bases: 1, storedBytes: pieces.length * PIECE_BYTES, users: 1, mappedBytes: pieces.length * PIECE_BYTES });
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
    make(kinds(), pieces.length * PIECE_BYTES);
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
