import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB, PAGER_HEARTBEAT_FILE, type VirtualMachine, type VmMemoryStatus } from '@corral/contracts';
import { type MachineState } from '@corral/vm-lifecycle';
import { startRedis } from '@corral/embedded';
import { clusterKeys, swapKeyPrefix } from '@corral/memory';
import { until } from '@corral/testing';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { type Machine } from '../machine/machine.ts';
import { NodeMemory } from './node-memory.ts';
import { SwapKeys } from './swap-keys.ts';

const run = { incarnation: 1, memoryMiB: 128 };
const NOTHING = { swapInsFrom: { staged: 0, compressed: 0, redis: 0, durable: 0 }, redis: { timeouts: 0, misses: 0, refusals: 0, stale: 0 }, faults: 0, swapOuts: 0 };
const running = { phase: 'Running', run } as unknown as MachineState;

let home: string;
let child: ChildProcess;
let isDead = false;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'corral-node-memory-'));
  child = spawn('sleep', ['600']);
  isDead = false;
});
afterEach(() => {
  child.kill('SIGKILL');
  rmSync(home, { recursive: true, force: true });
});

/** A machine as far as its memory goes, with a real process. */
function aMachine(memory?: Partial<VmMemoryStatus>): Machine & { readonly told: (number | undefined)[] } {
  const told: (number | undefined)[] = [];
  return {
    uid: 'u', state: running, pid: child.pid, folder: { path: home }, memory: memory && { ...NOTHING, sharedBytes: 0, compressedBytes: 0, swappedBytes: 0, ...memory }, memoryBudgetBytes: undefined, told,
    setMemoryBudget: (bytes: number | undefined) => void told.push(bytes),
    killStuck() {
      isDead = true;
    },
  } as unknown as Machine & { readonly told: (number | undefined)[] };
}

const over = (machine: Machine, budgetBytes: number, residentMemory?: string): NodeMemory =>
  new NodeMemory({
    machines: () => [machine], budgetBytes, keys: undefined, log: pino({ level: 'silent' }),
    vmOf: () => ({ spec: residentMemory === undefined ? {} : { residentMemory } }) as unknown as VirtualMachine,
  });
const beat = (number: number, pid = child.pid): void => writeFileSync(join(home, PAGER_HEARTBEAT_FILE), `${pid} ${number}\n`);
const lookOften = async (memory: NodeMemory, eachTime: (look: number) => void = () => undefined): Promise<void> => {
  for (let look = 0; look < 8; look += 1) {
    eachTime(look);
    await memory.look();
  }
};
describe('a node’s memory', () => {
  it('a process whose pager no longer lives is ended', async () => {
    beat(1);
    await lookOften(over(aMachine(), 1024 * MIB));
    expect(isDead).toBe(true);
  });

  it('one whose pager lives is not', async () => {
    await lookOften(over(aMachine(), 1024 * MIB), beat);
    expect(isDead).toBe(false);
  });

  it('nor one that stands still because somebody stopped it, nor one that found what another left', async () => {
    child.kill('SIGSTOP');
    await until(() => readFileSync(`/proc/${child.pid}/stat`, 'utf8').includes(') T '), { timeoutMs: 5_000, what: 'it stands still' });
    beat(1);
    await lookOften(over(aMachine(), 1024 * MIB));
    child.kill('SIGCONT');
    beat(1, 1);
    await lookOften(over(aMachine(), 1024 * MIB));
    expect(isDead).toBe(false);
  });

  it('machines are told their budget: their own, or less where there is not enough', async () => {
    const own = aMachine();
    await over(own, 1024 * MIB, '64Mi').look();
    const full = aMachine({ heldBytes: 128 * MIB });
    await over(full, 96 * MIB).look();
    expect([own.told, full.told.map((bytes) => Math.round((bytes ?? 0) / MIB))]).toEqual([[64 * MIB], [96]]);
  });

  it('what a machine swapped stays while it runs, also once it has become another one, and is removed when it has ended', async () => {
    const log = pino({ level: 'silent' });
    const redis = await startRedis({ home });
    const keys = new SwapKeys({ url: redis.url, nodeName: 'n', log });
    const client = new Redis(redis.url);
    try {
      const [key = ''] = clusterKeys(swapKeyPrefix('warm', 1), 16);
      await client.set(key, 'pages');
      const claimed = Object.assign(aMachine({ pager: 'On' }), { swapName: { uid: 'warm', incarnation: 1 } }) as unknown as Machine;
      let machines = [claimed];
      const memory = new NodeMemory({ machines: () => machines, budgetBytes: 1024 * MIB, keys, log, vmOf: () => undefined });
      await memory.look();
      expect(await client.exists(key)).toBe(1);
      machines = [];
      await memory.look();
      expect([await client.exists(key), await client.scard('corral:swap:node:n')]).toEqual([0, 0]);
    } finally {
      client.disconnect();
      keys.close();
      await redis.stop();
    }
  });

  it('what a machine swapped that ended together with its node agent, before it told of any, is removed by the next agent', async () => {
    const log = pino({ level: 'silent' });
    const redis = await startRedis({ home });
    const [keys, next] = [new SwapKeys({ url: redis.url, nodeName: 'n', log }), new SwapKeys({ url: redis.url, nodeName: 'n', log })];
    const client = new Redis(redis.url);
    try {
      const [key = '', others = ''] = ['untold', 'free'].map((uid) => [...clusterKeys(swapKeyPrefix(uid, 1), 16)][0]);
      const [untold, free] = [['untold', 64 * MIB], ['free', undefined]].map(([uid, memoryBudgetBytes]) => Object.assign(aMachine({ pager: 'Off' }), { uid, memoryBudgetBytes, swapName: { uid, incarnation: 1 } }));
      await new NodeMemory({ machines: () => [untold, free] as unknown as Machine[], budgetBytes: 1024 * MIB, keys, log, vmOf: () => undefined }).look();
      await client.mset(key, 'pages', others, 'of another node');
      await next.sweep();
      expect([await client.exists(key), await client.exists(others), await client.scard('corral:swap:node:n')]).toEqual([0, 1, 0]);
    } finally {
      client.disconnect();
      for (const each of [keys, next]) each.close();
      await redis.stop();
    }
  });

  it('is short when its machines were given less than they want, and hold nearly that', async () => {
    const calm = over(aMachine({ heldBytes: 56 * MIB }), 64 * MIB, '56Mi');
    const overcommitted = over(aMachine({ heldBytes: 56 * MIB }), 64 * MIB);
    for (const memory of [calm, overcommitted, calm, overcommitted]) await memory.look();
    expect(calm.pressure).toMatchObject({ isPressing: false });
    expect(overcommitted.pressure).toMatchObject({ isPressing: true, reason: 'BudgetExhausted' });
    expect(overcommitted.use).toMatchObject({ budgetBytes: 64 * MIB, heldBytes: 56 * MIB, swapIns: 0 });
  });

  it('is short when its machines take all of it', async () => {
    const memory = over(aMachine({ heldBytes: 128 * MIB }), 96 * MIB);
    await memory.look();
    expect(memory.pressure.isPressing).toBe(true);
  });
});
