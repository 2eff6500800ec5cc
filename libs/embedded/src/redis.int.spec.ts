import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Queue, QueueEvents, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { findNativeRedis, startRedis, type EmbeddedRedis } from './redis.ts';

const ENGINES = findNativeRedis() === undefined ? (['Bundled'] as const) : (['Bundled', 'Native'] as const);

/** What Corral asks of any Redis; every engine must pass all of it. */
describe.each(ENGINES)('Redis, %s', (engine) => {
  let home: string;
  let server: EmbeddedRedis;
  let redis: Redis;
  const open: { quit(): unknown }[] = [];
  const connect = (): Redis => {
    const client = new Redis(server.url, { maxRetriesPerRequest: null });
    open.push(client);
    return client;
  };

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'corral-redis-'));
    server = await startRedis({ home, engine });
    redis = connect();
  }, 30_000);
  afterAll(async () => {
    for (const client of open) await client.quit();
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  });

  it('is the engine that was asked for', () => expect(server.engine).toBe(engine));

  it('lets nobody in without the password', async () => {
    const stranger = new Redis(Number(new URL(server.url).port), '127.0.0.1', {
      lazyConnect: true,
      retryStrategy: () => null,
    });
    stranger.on('error', () => undefined);
    await expect(stranger.get('x')).rejects.toThrow(/NOAUTH/);
    stranger.disconnect();
  });

  it('never evicts', async () => {
    expect(await redis.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
  });

  it('answers at once, not at the next tick of a timer', async () => {
    const started = performance.now();
    for (let index = 0; index < 50; index++) await redis.get('absent');
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('answers much at once as well, not a part of it at each tick of a timer', async () => {
    await redis.hset('large', Object.fromEntries(Array.from({ length: 64 }, (_, field) => [field, Buffer.alloc(16_384, field)])));
    const started = performance.now();
    for (let index = 0; index < 10; index++) expect((await redis.hvalsBuffer('large')).map((value) => value.byteLength)).toEqual(Array.from({ length: 64 }, () => 16_384));
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it('runs Lua with cjson and cmsgpack', async () => {
    const script = 'return cjson.encode(cmsgpack.unpack(cmsgpack.pack({a = ARGV[1]})))';
    expect(await redis.eval(script, 0, 'b')).toBe('{"a":"b"}');
  });

  it('wakes a blocked reader, and lets it go when its time is over', async () => {
    const reader = connect();
    const popped = reader.blpop('list', 5);
    await redis.rpush('list', 'value');
    expect(await popped).toEqual(['list', 'value']);
    expect(await reader.blpop('list', 0.05)).toBeNull();
  });

  it('carries messages and streams', async () => {
    const subscriber = connect();
    await subscriber.subscribe('news');
    const heard = new Promise((resolve) => subscriber.once('message', (_channel, message) => resolve(message)));
    await redis.publish('news', 'hello');
    expect(await heard).toBe('hello');
    await redis.xadd('stream', '*', 'field', 'value');
    expect(await redis.xlen('stream')).toBe(1);
  });

  it('runs BullMQ: delays, retries and deduplication', async () => {
    const connection = { url: server.url };
    const queue = new Queue('contract', { connection });
    const events = new QueueEvents('contract', { connection });
    await events.waitUntilReady();
    const seen: string[] = [];
    const worker = new Worker(
      'contract',
      async (job) => {
        seen.push(job.name);
        if (job.name === 'flaky' && job.attemptsMade === 0) throw new Error('first attempt');
      },
      { connection },
    );
    try {
      await queue.add('once', {}, { deduplication: { id: 'same' }, delay: 50 });
      await queue.add('once', {}, { deduplication: { id: 'same' }, delay: 50 });
      const flaky = await queue.add('flaky', {}, { attempts: 2, backoff: { type: 'fixed', delay: 20 } });
      const last = await queue.add('late', {}, { delay: 100 });
      await Promise.all([flaky.waitUntilFinished(events, 10_000), last.waitUntilFinished(events, 10_000)]);
      expect(seen.filter((name) => name === 'once')).toHaveLength(1);
      expect(seen.filter((name) => name === 'flaky')).toHaveLength(2);
    } finally {
      await worker.close();
      await events.close();
      await queue.close();
    }
  }, 30_000);
});
