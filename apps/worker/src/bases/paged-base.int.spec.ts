import { jest } from '@jest/globals';
import { type ChildProcess, fork } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_LOST_EXIT_CODE } from '@corral/contracts';
import { decodePackIndex, encodePack, HostMemory, packIndexBytesOf, PIECE_BYTES, type Piece } from '@corral/memory';
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
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodePack(pieces)) chunks.push(chunk);
  pack = Buffer.concat(chunks);
});
beforeEach(() => {
  ram.fill(0);
  for (const { number, bytes } of pieces) ram.set(bytes, number * PIECE_BYTES);
  folder = mkdtempSync(join(tmpdir(), 'corral-paged-'));
  bases = new BaseImages({ directory: folder, maxBytes: 0, log: pino({ level: 'silent' }), now: () => performance.now(), kinds: [inSealedMemory], patienceMs: 500 });
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  bases.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A pack whose reads are let through one by one, in whatever order. */
function slowly(bytes = pack): { source: BaseSource; reads: { readonly offset: number; go(): void; fail(): void }[] } {
  const reads: { offset: number; go(): void; fail(): void }[] = [];
  return {
    reads,
    source: {
      sha256: 'a'.repeat(64), name: 'a', pages: PAGES,
      open: async () => ({
        isRemote: true,
        index: decodePackIndex(bytes.subarray(-packIndexBytesOf(bytes.subarray(-32), bytes.length)), bytes.length),
        read: (offset, length) => {
          const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
          reads.push({ offset, go: () => resolve(bytes.subarray(offset, offset + length)), fail: () => reject(new Error('S3 is down')) });
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
  static async begin(held: HeldBase | undefined, options: { readonly silenceDeadlineMs?: number; readonly isDiskFull?: boolean } = {}): Promise<Paged> {
    const paged = new Paged();
    await new Promise((resolve) => paged.child.once('message', resolve));
    if (!held) throw new Error('there is no base');
    await paged.ask({ type: 'Begin', base: held.base, ...options });
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

  it('is answered for where the disk has no room to say that somebody does', async () => {
    const { source, reads } = slowly();
    const paged = await Paged.begin(await bases.hold(source, { mayBePartial: true }), { isDiskFull: true });
    expect((await paged.ask({ type: 'Read', page: 1 })).digest).toBe(digestOf(1));
    const timer = setInterval(() => reads.forEach((read) => read.go()), 5);
    expect((await paged.ask({ type: 'Read', page: last })).digest).toBe(digestOf(last));
    clearInterval(timer);
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

  it('ends when the node agent says nothing any more, in bounded time', async () => {
    const { source } = slowly();
    const held = await bases.hold(source, { mayBePartial: true });
    const paged = await Paged.begin(held, { silenceDeadlineMs: 1_500 });
    const answer = paged.ask({ type: 'Read', page: last }).catch((error: unknown) => String(error));
    expect(await paged.exited).toBe(BASE_LOST_EXIT_CODE);
    expect(await answer).toContain('it ended');
  });

  it('shows no page before it was said to be there, whatever others have made of its place', async () => {
    const { source, reads } = slowly();
    const held = await bases.hold(source, { mayBePartial: true });
    const paged = await Paged.begin(held);
    // Reading nothing through a mapping leaves a page of zeros in the base, which all others see.
    const seen = new Paged();
    await new Promise((resolve) => seen.child.once('message', resolve));
    if (!held) throw new Error('there is no base');
    expect((await seen.ask({ type: 'Look', base: held.base, page: last })).digest).toBe(hash('sha256', Buffer.alloc(PIECE_BYTES)));
    const answer = paged.ask({ type: 'Read', page: last });
    await until(() => reads.length > 4, { timeoutMs: 10_000, what: 'the read of the page' });
    const timer = setInterval(() => reads.forEach((read) => read.go()), 5);
    expect((await answer).digest).toBe(digestOf(last));
    clearInterval(timer);
  });

  it('has zeros where the pack has a page of zeros', async () => {
    const zeroed = pieces.map((piece): Piece => (piece.number === last ? { ...piece, bytes: Buffer.alloc(PIECE_BYTES) } : piece));
    const chunks: Uint8Array[] = [];
    for await (const chunk of encodePack(zeroed)) chunks.push(chunk);
    const { source, reads } = slowly(Buffer.concat(chunks));
    const held = await bases.hold(source, { mayBePartial: true });
    const paged = await Paged.begin(held);
    const timer = setInterval(() => reads.forEach((read) => read.go()), 5);
    expect((await paged.ask({ type: 'Read', page: last })).digest).toBe(hash('sha256', Buffer.alloc(PIECE_BYTES)));
    clearInterval(timer);
  });

  it('takes what lies over the base without waiting for what is below, also where that is zeros', async () => {
    const { source, reads } = slowly();
    const held = await bases.hold(source, { mayBePartial: true });
    const paged = await Paged.begin(held);
    for (const [page, value] of [[last, 0], [0, 7], [1, 8]] as const) {
      expect(await paged.ask({ type: 'Put', page, value })).toEqual({ waitedPages: 0 });
      ram.fill(value, page * PIECE_BYTES, (page + 1) * PIECE_BYTES);
    }
    // Nobody knows yet what the base has there: it is kept, though it may be the same.
    expect(await paged.ask({ type: 'ShareAgain' })).toEqual({});
    expect((await paged.ask({ type: 'Read', page: last })).digest).toBe(digestOf(last));
    const timer = setInterval(() => reads.forEach((read) => read.go()), 5);
    await paged.ask({ type: 'End' });
    clearInterval(timer);
    expect((await paged.ask({ type: 'Verify' })).digest).toBe(hash('sha256', ram));
  });

  it('is zero where a guest gave pages back, and not what the base has there once it came', async () => {
    const { source, reads } = slowly();
    const held = await bases.hold(source, { mayBePartial: true });
    const paged = await Paged.begin(held);
    for (const page of [last, 1]) await paged.ask({ type: 'Put', page, value: 9 });
    await paged.ask({ type: 'GiveBack', firstPage: last - 1, pages: 2 });
    await paged.ask({ type: 'GiveBack', firstPage: 1, pages: 1 });
    for (const page of [last, 1]) {
      expect((await paged.ask({ type: 'Read', page })).digest).toBe(hash('sha256', Buffer.alloc(PIECE_BYTES)));
      ram.fill(0, page * PIECE_BYTES, (page + 1) * PIECE_BYTES);
    }
    const timer = setInterval(() => reads.forEach((read) => read.go()), 5);
    await paged.ask({ type: 'End' });
    clearInterval(timer);
    expect((await paged.ask({ type: 'Verify' })).digest).toBe(hash('sha256', ram));
  });

  it('is refused to the kernel where a page is missing, and never shown as zeros; a copy of it is right', async () => {
    const { source, reads } = slowly();
    const held = await bases.hold(source, { mayBePartial: true });
    const paged = await Paged.begin(held);
    expect(await paged.ask({ type: 'HandToKernel', page: last })).toEqual({ refused: 'EFAULT' });
    const copied = paged.ask({ type: 'Copy', page: last });
    await until(() => reads.length > 4, { timeoutMs: 10_000, what: 'the read of the page' });
    reads[4]?.go();
    expect(await copied).toEqual({ digest: digestOf(last) });
  });

  it('is right, and shows no zeros, when its userfaultfd is closed in use', async () => {
    const { source, reads } = slowly();
    const held = await bases.hold(source, { mayBePartial: true });
    const paged = await Paged.begin(held);
    await paged.ask({ type: 'CloseUserFault' });
    const answer = paged.ask({ type: 'Read', page: last });
    await until(() => reads.length > 4, { timeoutMs: 10_000, what: 'the read of the page' });
    reads[4]?.go();
    expect(await answer).toEqual({ digest: digestOf(last), waitedPages: 1 });
  });
});
