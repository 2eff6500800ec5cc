import { jest } from '@jest/globals';
import { type ChildProcess, fork } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_LOST_EXIT_CODE, decodePackIndex, encodePack, HostMemory, packIndexBytesOf, PIECE_BYTES, type Piece } from '@corral/memory';
import { until } from '@corral/testing';
import { pino } from 'pino';
import { BaseImages, type BaseSource, type HeldBase } from './base-images.ts';
import { inSealedMemory } from './base-memory.ts';
import { type PagedAnswer, type PagedOrder } from './paged-base.testing.ts';

jest.setTimeout(60_000);

const PAGES = 8_192;
/** Every other page is zero. */
const pieces = Array.from({ length: PAGES / 2 }, (_, at): Piece => ({ number: at * 2, bytes: randomBytes(PIECE_BYTES) }));
const ram = Buffer.alloc(PAGES * PIECE_BYTES);
const last = pieces.at(-1)?.number ?? 0;
let pack: Buffer;
let folder: string;
let bases: BaseImages;
const children: ChildProcess[] = [];

beforeAll(async () => {
  for (const { number, bytes } of pieces) ram.set(bytes, number * PIECE_BYTES);
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodePack(pieces)) chunks.push(chunk);
  pack = Buffer.concat(chunks);
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'corral-paged-'));
  bases = new BaseImages({ directory: folder, maxBytes: 0, log: pino({ level: 'silent' }), now: () => performance.now(), kinds: [inSealedMemory] });
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  bases.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A pack whose reads are let through one by one, in whatever order. */
function slowly(): { source: BaseSource; reads: { readonly offset: number; go(): void; fail(): void }[] } {
  const reads: { offset: number; go(): void; fail(): void }[] = [];
  return {
    reads,
    source: {
      sha256: 'a'.repeat(64), name: 'a', pages: PAGES,
      open: async () => ({
        isRemote: true,
        index: decodePackIndex(pack.subarray(-packIndexBytesOf(pack.subarray(-32), pack.length)), pack.length),
        read: (offset, length) => {
          const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
          reads.push({ offset, go: () => resolve(pack.subarray(offset, offset + length)), fail: () => reject(new Error('S3 is down')) });
          return promise;
        },
        close: async () => undefined,
      }),
    },
  };
}

class Paged {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  constructor() {
    this.child = fork(join(import.meta.dirname, 'paged-base.testing.ts'), [], {
      execArgv: ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning'], serialization: 'advanced', stdio: ['ignore', 'inherit', 'ignore', 'ipc'],
    });
    children.push(this.child);
    this.exited = new Promise((resolve) => this.child.on('exit', resolve));
  }
  static async begin(held: HeldBase | undefined): Promise<Paged> {
    const paged = new Paged();
    await new Promise((resolve) => paged.child.once('message', resolve));
    if (!held) throw new Error('there is no base');
    await paged.ask({ type: 'Begin', base: held.base });
    return paged;
  }
  ask(order: PagedOrder): Promise<PagedAnswer> {
    return new Promise((resolve, reject) => {
      this.child.once('message', resolve);
      this.child.once('exit', () => reject(new Error('it ended')));
      this.child.send(order);
    });
  }
}

const digestOf = (page: number): string => hash('sha256', ram.subarray(page * PIECE_BYTES, (page + 1) * PIECE_BYTES));

// Machines run on parts of a base only where the host tells of pages that are missing.
(HostMemory.probe().capability.mode === 'Full' ? describe : describe.skip)('memory on a base that is not whole', () => {
  it('has each page right when it is touched, knows what was written to, and is the same when nobody pages it any more', async () => {
    const { source, reads } = slowly();
    const held = await bases.hold(source, { mayBePartial: true });
    const paged = await Paged.begin(held);
    // Zero pages wait for nobody.
    expect((await paged.ask({ type: 'Read', page: 1 })).digest).toBe(digestOf(1));
    let answer: PagedAnswer | undefined;
    void paged.ask({ type: 'Read', page: last }).then((given) => (answer = given));
    // It is read at once, beside what nobody waits for.
    await until(() => reads.length > 4, { timeoutMs: 10_000, what: 'the next read' });
    expect(answer).toBeUndefined();
    reads[4]?.go();
    await until(() => answer, { timeoutMs: 10_000, what: 'the page' });
    expect(answer).toEqual({ digest: digestOf(last), waitedPages: 1 });
    const writes = [[1, 11], [last, 12], [3, 13]] as const;
    for (const [page, value] of writes) {
      await paged.ask({ type: 'Write', page, value });
      ram[page * PIECE_BYTES + 7] = value;
    }
    const ended = paged.ask({ type: 'End' });
    const timer = setInterval(() => reads.forEach((read) => read.go()), 5);
    expect((await ended).waitedPages).toBe(1);
    clearInterval(timer);
    await paged.ask({ type: 'Write', page: 5, value: 14 });
    ram[5 * PIECE_BYTES + 7] = 14;
    const verified = await paged.ask({ type: 'Verify' });
    expect(verified.digest).toBe(hash('sha256', ram));
    expect(verified.written).toEqual([1, 3, 5, last]);
    // Its writes are its own.
    for (const [page] of [...writes, [5]]) ram.set(pieces.find(({ number }) => number === page)?.bytes ?? Buffer.alloc(PIECE_BYTES), page * PIECE_BYTES);
    const other = await bases.hold(source);
    expect(other?.base.requestsPath).toBeUndefined();
  });

  it('is right for many at once, whatever the order in which parts come', async () => {
    const { source, reads } = slowly();
    const holds = await Promise.all([1, 2].map(() => bases.hold(source, { mayBePartial: true })));
    const [one, other] = await Promise.all(holds.map((held) => Paged.begin(held)));
    const timer = setInterval(() => reads.splice(Math.floor(Math.random() * reads.length), 1)[0]?.go(), 2);
    const digests = await Promise.all([one, other].map((paged) => paged?.ask({ type: 'Verify' })));
    for (const verified of digests) expect(verified?.digest).toBe(hash('sha256', ram));
    clearInterval(timer);
  });

  it('ends whoever waits for a page that cannot be had, and nobody reads anything else in its place', async () => {
    const { source, reads } = slowly();
    const held = await bases.hold(source, { mayBePartial: true });
    const paged = await Paged.begin(held);
    const answer = paged.ask({ type: 'Read', page: last }).catch((error: unknown) => String(error));
    const timer = setInterval(() => reads.forEach((read) => read.fail()), 5);
    expect(await paged.exited).toBe(BASE_LOST_EXIT_CODE);
    clearInterval(timer);
    expect(await answer).toContain('it ended');
  });

  it('ends with the node agent that would have fetched it', async () => {
    const { source } = slowly();
    const held = await bases.hold(source, { mayBePartial: true });
    const paged = await Paged.begin(held);
    bases.close();
    expect(await paged.exited).toBe(BASE_LOST_EXIT_CODE);
  });
});
