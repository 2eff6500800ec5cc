import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis, type EmbeddedRedis } from '@corral/embedded';
import { keyQueueContract, until } from '@corral/testing';
import { Redis } from 'ioredis';
import { BullQueue } from './bull-queue.ts';

describe('the queue on Redis', () => {
  const home = mkdtempSync(join(tmpdir(), 'corral-queue-'));
  let server: EmbeddedRedis;
  let connection: Redis;
  const queues: BullQueue[] = [];
  const failures: unknown[] = [];
  let count = 0;

  beforeAll(async () => {
    server = await startRedis({ home });
    connection = new Redis(server.url, { maxRetriesPerRequest: null });
  });
  afterAll(async () => {
    await Promise.all(queues.map((queue) => queue.close()));
    connection.disconnect();
    await server.stop();
    rmSync(home, { recursive: true, force: true });
    expect(failures).toEqual([]);
  });

  const queueOf = (name: string): BullQueue => {
    const queue = new BullQueue(name, { commands: connection, patient: connection }, (error) => failures.push(error));
    queues.push(queue);
    return queue;
  };
  const aName = (): string => `corral.test.${(count += 1)}`;

  keyQueueContract('BullMQ on Valkey', () => queueOf(aName()));

  it('shares keys between processes, and never gives one to two of them at once', async () => {
    const name = aName();
    const sharers = [queueOf(name), queueOf(name), queueOf(name)];
    const atWork = new Set<string>();
    const looks = new Map<string, number>();
    const violations: string[] = [];
    const helpers = new Set<number>();
    sharers.forEach((queue, index) =>
      queue.start(async (key) => {
        if (atWork.has(key)) violations.push(key);
        atWork.add(key);
        helpers.add(index);
        await new Promise((resolve) => setTimeout(resolve, 5));
        looks.set(key, (looks.get(key) ?? 0) + 1);
        atWork.delete(key);
      }, 4),
    );
    const keys = Array.from({ length: 20 }, (_, i) => `default/vm-${i}`);
    // Every process hears of every change, as informers do.
    for (let round = 0; round < 5; round += 1) for (const queue of sharers) for (const key of keys) queue.add(key);
    await until(async () => looks.size === keys.length && atWork.size === 0 && (await sharers[0]!.depth()) === 0, { timeoutMs: 20_000, what: 'everything was looked at' });
    expect(violations).toEqual([]);
    expect(helpers.size).toBe(3);
    // 300 additions; far fewer looks.
    expect([...looks.values()].reduce((sum, n) => sum + n, 0)).toBeLessThan(150);
    await Promise.all(sharers.map((queue) => queue.stop()));
  });

  it('keeps nothing of what is done', async () => {
    const name = aName();
    const queue = queueOf(name);
    let looks = 0;
    queue.start(async (key) => {
      looks += 1;
      if (looks <= 10) queue.addAfter(key, 1);
    }, 2);
    for (let i = 0; i < 10; i += 1) queue.add(`default/vm-${i}`);
    await until(() => looks === 20, { timeoutMs: 20_000, what: 'all looks' });
    await queue.stop();
    const keys = await connection.keys(`bull:${name}:*`);
    expect(keys.map((key) => key.slice(`bull:${name}:`.length)).sort().filter((key) => /\d|^de:|^dn:/.test(key))).toEqual([]);
  });
});
