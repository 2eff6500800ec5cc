import { jest } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeQueueName } from '@corral/contracts';
import { type EmbeddedRedis, startRedis } from '@corral/embedded';
import { until } from '@corral/testing';
import { Queue } from 'bullmq';
import { pino } from 'pino';
import { Hints } from './hints.ts';

jest.setTimeout(60_000);

const HINT = { resource: 'virtualmachines', namespace: 'default', name: 'demo' };
let home: string;
let redis: EmbeddedRedis;
let hints: Hints;
const heard: unknown[] = [];
const lines: string[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'corral-hints-'));
  redis = await startRedis({ home });
  const log = pino({ level: 'info' }, { write: (line) => void lines.push(line) });
  hints = new Hints({ redisUrl: redis.url, nodeName: 'worker-1', log, onHint: (hint) => heard.push(hint) });
  hints.start();
}, 60_000);
afterAll(async () => {
  await hints.stop();
  await redis.stop();
  await rm(home, { recursive: true, force: true });
}, 60_000);

async function tell(data: unknown): Promise<void> {
  const queue = new Queue(nodeQueueName('worker-1'), { connection: { url: redis.url } });
  await queue.add('look', data);
  await queue.close();
}
const said = (text: string): number => lines.filter((line) => line.includes(text)).length;

describe('Hints', () => {
  it('are heard, and what is none is passed over', async () => {
    await tell({ nonsense: true });
    await tell(HINT);
    await until(() => heard.length > 0, { timeoutMs: 10_000, what: 'a hint' });
    expect(heard).toEqual([HINT]);
  });

  it('are missed while Redis is away, which is said once, and heard again when it is back', async () => {
    await redis.stop();
    await until(() => said('Redis is away') === 1, { timeoutMs: 20_000, what: 'the warning' });
    redis = await startRedis({ home });
    await until(() => said('Redis is back') === 1, { timeoutMs: 30_000, what: 'the return' });
    await tell({ ...HINT, name: 'after' });
    await until(() => heard.length > 1, { timeoutMs: 20_000, what: 'a hint after the return' });
    expect([heard[1], said('Redis is away')]).toEqual([{ ...HINT, name: 'after' }, 1]);
  }, 90_000);
});
