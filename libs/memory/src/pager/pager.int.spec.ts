import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { Redis } from 'ioredis';
import { SWAP_LOST_EXIT_CODE } from '@corral/contracts';
import { startRedis, type EmbeddedRedis } from '@corral/embedded';
import { TcpProxy } from '@corral/testing';
import { HostMemory } from '../host/host-memory.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import type { RegionOptions, RegionOrder } from './paged-region.testing.ts';
import type { PagerUsage } from './pager.ts';
import { HEADER_BYTES } from './swap-keys.ts';
import { REDIS_DEADLINE_MS } from './redis-tier.ts';

type Answer = PagerUsage & { readonly wrong: number; readonly lost: number; readonly privatePages: number };
const MIB = 1024 * 1024;
const DEADLINE_MS = 45_000;

let home: string;
const regions: PagedRegion[] = [];
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'corral-pager-'));
});
afterEach(async () => {
  await Promise.all(regions.splice(0).map((region) => region.end()));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** A process whose memory is paged. */
class PagedRegion {
  readonly #child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  }

  static async start(options: Partial<RegionOptions> = {}): Promise<PagedRegion> {
    const all: RegionOptions = { memoryMiB: 32, budgetMiB: 8, isAnonymous: false, seed: 1, ...options };
    const child = fork(join(import.meta.dirname, 'paged-region.testing.ts'), [JSON.stringify(all)], {
      cwd: mkdtempSync(join(home, 'region-')), execArgv: ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning'], stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    const region = new PagedRegion(child);
    regions.push(region);
    await region.#answer();
    return region;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  order(order: RegionOrder): Promise<Answer> {
    const answer = this.#answer();
    this.#child.send(order);
    return answer;
  }

  /** Churns until something holds, and answers the last usage. */
  async churnUntil(what: string, holds: (answer: Answer) => boolean): Promise<Answer> {
    const until = performance.now() + DEADLINE_MS;
    for (;;) {
      const answer = await this.order({ type: 'Churn', rounds: 5 });
      expect(answer.wrong).toBe(0);
      if (holds(answer)) return answer;
      if (performance.now() > until) throw new Error(`never ${what}: ${JSON.stringify(answer)}`);
    }
  }

  async verify(): Promise<Answer> {
    const answer = await this.order({ type: 'Verify' });
    expect(answer.wrong).toBe(0);
    return answer;
  }

  /** The copy of last resort, which has no name: reached as the process reaches it. */
  damageDurable(): void {
    const folder = `/proc/${this.pid}/fd`;
    const fd = readdirSync(folder).find((name) => /\/swap \(deleted\)$/.test(readlinkSync(join(folder, name))));
    const file = openSync(join(folder, fd ?? 'none'), 'r+');
    for (let page = 0; page < (64 * MIB) / PAGE_BYTES; page += 1) writeSync(file, Buffer.from('damaged'), 0, 7, page * PAGE_BYTES);
    closeSync(file);
  }

  async end(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    else this.#child.kill('SIGKILL');
    await this.ended;
  }

  #answer(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#child.once('message', (answer: Answer) => resolve(answer));
      void this.ended.then((exit) => reject(new Error(`it ended: ${JSON.stringify(exit)}`)));
    });
  }
}

const outsideOf = ({ counters }: Answer): number => counters.redisOuts + counters.durableOuts;

/** Another page with the same CRC-32, which is linear: what differs at its beginning is made up for in its last four bytes. */
function twinOf(page: Uint8Array): Uint8Array {
  const twin = Buffer.from(page);
  const checksumWith = (last: number): number => {
    twin.writeUInt32LE(last >>> 0, twin.length - 4);
    return crc32(twin);
  };
  twin[0] = (page[0] ?? 0) ^ 0xff;
  const plain = checksumWith(0);
  const basis = new Map<number, { readonly flips: number; readonly last: number }>();
  const reduce = (flips: number, last: number): { readonly flips: number; readonly last: number } => {
    for (let known = basis.get(Math.clz32(flips)); flips !== 0 && known; known = basis.get(Math.clz32(flips))) [flips, last] = [flips ^ known.flips, last ^ known.last];
    return { flips, last };
  };
  for (let bit = 0; bit < 32; bit += 1) {
    const found = reduce(checksumWith(1 << bit) ^ plain, 1 << bit);
    basis.set(Math.clz32(found.flips), found);
  }
  if (checksumWith(reduce(crc32(page) ^ plain, 0).last) !== crc32(page)) throw new Error('there is no such page');
  return twin;
}

// Where the host has no userfaultfd there is nothing to page with, and nothing is promised.
(HostMemory.probe().capability.mode === 'Full' ? describe : describe.skip)('paged memory', () => {
  describe.each([['over a base', {}], ['over layers on a base', { isLayered: true }], ['of its own', { isAnonymous: true }]])('%s', (_, options: Partial<RegionOptions>) => {
    it('keeps every byte, in a quarter of its size', async () => {
      const region = await PagedRegion.start({ ...options, seed: 7 });
      await region.churnUntil('pages have left', (answer) => outsideOf(answer) > 1_000);
      const answer = await region.verify();
      expect(answer.counters.durableIns).toBeGreaterThan(100);
      expect(answer.privatePages * PAGE_BYTES + answer.stagedBytes + answer.packedBytes).toBeLessThan(8 * MIB * 1.3);
    });
  });

  it('does not write again what nobody changed', async () => {
    const region = await PagedRegion.start();
    await region.churnUntil('pages have left', (answer) => outsideOf(answer) > 500);
    const before = await region.verify();
    const after = await region.verify();
    const came = after.counters.durableIns - before.counters.durableIns;
    expect(came).toBeGreaterThan(500);
    expect(after.counters.durableOuts - before.counters.durableOuts).toBeLessThan(came / 10);
  });

  it('what is out is read as it was while it moves from one tier to the next', async () => {
    const region = await PagedRegion.start({ isAnonymous: true });
    const { wrong } = await region.order({ type: 'ReadOut', rounds: 20 });
    expect(wrong).toBe(0);
  });

  it('a process whose copy of last resort is damaged ends as SwapLost, and reads nothing else instead', async () => {
    const region = await PagedRegion.start();
    await region.churnUntil('pages have left', (answer) => answer.swappedBytes > 4 * MIB);
    region.damageDurable();
    await expect(region.order({ type: 'Verify' })).rejects.toThrow('it ended');
    expect(await region.ended).toEqual({ code: SWAP_LOST_EXIT_CODE, signal: null });
  });

  it('a page whose copy of last resort is damaged is lost to a snapshot as well, and nothing else is taken for it', async () => {
    const region = await PagedRegion.start();
    await region.churnUntil('pages have left', (answer) => answer.swappedBytes > 4 * MIB);
    region.damageDurable();
    const { wrong, lost } = await region.order({ type: 'CompareOut' });
    expect([wrong, lost > 500]).toEqual([0, true]);
  });

  it('a userfaultfd that is closed in use costs no byte', async () => {
    const region = await PagedRegion.start();
    await region.churnUntil('pages have left', (answer) => answer.swappedBytes > 4 * MIB);
    await region.order({ type: 'CloseUserFault' });
    const before = await region.verify();
    await region.churnUntil('pages have left again', (answer) => answer.counters.durableIns > before.counters.durableIns + 500);
  });

  it('a pager that meets what it does not expect ends the process at once', async () => {
    const region = await PagedRegion.start();
    await expect(region.order({ type: 'Confuse' })).rejects.toThrow('it ended');
    expect(await region.ended).toEqual({ code: null, signal: 'SIGKILL' });
  });

  describe('with Redis', () => {
    let server: EmbeddedRedis;
    let client: Redis;
    let proxy: TcpProxy;
    const proxied = (): string => server.url.replace(/@[^/]+/, `@${new URL(proxy.url).host}`);

    beforeEach(async () => {
      server = await startRedis({ home });
      proxy = await TcpProxy.to(server.url.replace('redis:', 'http:'));
      client = new Redis(server.url, { maxRetriesPerRequest: null });
      client.on('error', () => undefined);
      await client.flushall();
    });
    afterEach(async () => {
      client.disconnect();
      await proxy.stop();
      await server.stop();
    });

    const swapping = async (options: Partial<RegionOptions> = {}): Promise<PagedRegion> => {
      const region = await PagedRegion.start({ redisUrl: proxied(), ...options });
      await region.churnUntil('pages are in Redis', ({ counters }) => counters.redisOuts > 500 && counters.redisIns > 100);
      return region;
    };

    it('keeps every byte there, and leaves none but under its own keys', async () => {
      const region = await swapping();
      const { counters } = await region.verify();
      expect(counters.redisIns).toBeGreaterThan(500);
      const keys = await client.keys('*');
      expect(keys.length).toBeGreaterThan(50);
      expect(keys.every((key) => key.startsWith('corral:swap:region:1:'))).toBe(true);
      expect(await client.ttl(keys[0] ?? '')).toBeGreaterThan(0);
    });

    it('goes on from the durable copy when it hangs, after a tenth of a second, and uses it again when it is back', async () => {
      const region = await swapping();
      proxy.cut();
      const before = await region.order({ type: 'Usage' });
      const during = await region.verify();
      expect(during.counters.durableIns).toBeGreaterThan(before.counters.durableIns + 100);
      // The last bucket has what took longer than the deadline: each of these is a connection that was given up.
      const longest = ({ waits }: PagerUsage): number => Object.values(waits).reduce((sum, { counts }) => sum + (counts.at(-1) ?? 0), 0);
      expect(longest(during)).toBeLessThanOrEqual(longest(before) + during.counters.redisTimeouts + 2);
      proxy.heal();
      await region.churnUntil('pages go to Redis again', ({ counters }) => counters.redisOuts > during.counters.redisOuts + 100 && counters.redisIns > during.counters.redisIns + 100);
    });

    it('takes no answer that comes too late for another page’s', async () => {
      const region = await swapping();
      const before = await region.order({ type: 'Usage' });
      let isStopped = false;
      const timer = setInterval(() => process.kill(server.pid, (isStopped = !isStopped) ? 'SIGSTOP' : 'SIGCONT'), REDIS_DEADLINE_MS * 1.5);
      try {
        await region.churnUntil('it has often waited in vain', ({ counters }) => counters.redisTimeouts > before.counters.redisTimeouts + 5);
      } finally {
        clearInterval(timer);
        process.kill(server.pid, 'SIGCONT');
      }
      await region.verify();
    });

    it('loses nothing when it is killed under faults, and comes back empty', async () => {
      const region = await swapping();
      const churning = region.churnUntil('the durable copy is used', ({ counters }) => counters.durableIns > 100);
      server.kill();
      await server.ended;
      const before = await churning;
      await region.verify();
      const port = new URL(server.url).port;
      server = await startRedis({ home });
      expect(new URL(server.url).port).toBe(port);
      await region.churnUntil('pages go to Redis again', ({ counters }) => counters.redisOuts > before.counters.redisOuts + 100);
      const after = await region.verify();
      expect(after.counters.redisMisses).toBeGreaterThan(0);
    });

    it('goes on without it when it is gone for good', async () => {
      const region = await swapping();
      server.kill();
      await region.churnUntil('pages leave to the durable copy alone', ({ counters }) => counters.durableOuts > 100);
      const { packedBytes, privatePages } = await region.verify();
      expect(privatePages * PAGE_BYTES + packedBytes).toBeLessThan(8 * MIB * 1.5);
    });

    it('takes no page that is damaged, of another generation, or cut off', async () => {
      const region = await swapping();
      for (const key of await client.keys('*')) {
        const fields = await client.hgetallBuffer(key);
        for (const [at, [field, value]] of Object.entries(fields).entries()) {
          if (at % 3 === 0) value[Math.floor(value.length / 2)] = (value[Math.floor(value.length / 2)] ?? 0) ^ 0x10;
          if (at % 3 === 1) value.writeUInt32LE(value.readUInt32LE(0) + 1, 0);
          await client.hset(key, field, at % 3 === 2 ? value.subarray(0, value.length - 1) : value);
        }
      }
      const { counters } = await region.verify();
      expect(counters.redisStale).toBeGreaterThan(50);
    });

    it('takes no page of another generation, also where its checksum is what it should be', async () => {
      const region = await swapping();
      let changed = 0;
      for (const key of await client.keys('*')) {
        for (const [field, value] of Object.entries(await client.hgetallBuffer(key))) {
          if (value.length !== HEADER_BYTES + PAGE_BYTES) continue;
          value.writeUInt32LE(value.readUInt32LE(0) + 1, 0);
          value.set(twinOf(value.subarray(HEADER_BYTES)), HEADER_BYTES);
          await client.hset(key, field, value);
          changed += 1;
        }
      }
      expect(changed).toBeGreaterThan(50);
      const { counters } = await region.verify();
      expect(counters.redisStale).toBeGreaterThan(50);
    });

    it.each([['evicts', 'allkeys-lru', 'redisMisses'], ['refuses', 'noeviction', 'redisRefusals']] as const)('is only slower when it %s', async (_, policy, counter) => {
      await client.config('SET', 'maxmemory-policy', policy);
      await client.config('SET', 'maxmemory', '6mb');
      const region = await PagedRegion.start({ redisUrl: proxied(), memoryMiB: 48 });
      await region.churnUntil('it does so', ({ counters }) => counters[counter] > 3);
      await region.verify();
      await client.config('SET', 'maxmemory', '0');
    });
  });
});
