import { jest } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '@corral/testing';
import { pino } from 'pino';
import { ProcessPool } from './process-pool.ts';
import { type Rehearsal } from './rehearsal.ts';
import { type VmProcessHandle, VmProcessRefusal } from './vm-process.handle.ts';

jest.setTimeout(60_000);

/** A process that speaks the protocol and misbehaves on request: the name of a snapshot's folder says how. */
const PROGRAM = `
import { writeFileSync } from 'node:fs';

process.send({ type: 'Waiting' });
process.on('disconnect', () => process.exit(0));
process.on('message', ({ type, requestId, directory }) => {
  const say = (message) => process.send(message);
  if (type === 'Pause') return say({ type: 'Reply', requestId, ok: true });
  if (type === 'Resume') return say({ type: 'Reply', requestId, ok: false, reason: 'NotStarted', message: 'no' });
  if (type === 'Rehearse') { writeFileSync('rehearsed', ''); return say({ type: 'Reply', requestId, ok: true }); }
  if (type === 'Stop') { say({ type: 'Ended', reason: 'GuestPoweredOff', message: 'bye' }); return process.send({ type: 'Reply', requestId, ok: true }, () => process.exit(7)); }
  if (directory === 'nonsense') return say({ type: 'Reply', requestId, ok: 'maybe' });
  if (directory === 'shout') { process.stdout.write('x'.repeat(3 * 1024 * 1024) + 'THE END'); return say({ type: 'Reply', requestId, ok: true }); }
  if (directory === 'environment') { writeFileSync('environment.json', JSON.stringify({ ...process.env, cwd: process.cwd(), argv: process.argv.slice(2).join() })); return say({ type: 'Reply', requestId, ok: true }); }
});
`;

const FIRMWARE = { biosPath: 'bios.bin', vgaBiosPath: 'vgabios.bin' };

let folder: string;
let pool: ProcessPool;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'corral-pool-'));
  await writeFile(join(folder, 'program.mjs'), PROGRAM);
  pool = new ProcessPool({
    entryPath: join(folder, 'program.mjs'),
    firmware: FIRMWARE,
    directory: join(folder, 'processes'),
    size: 1,
    log: pino({ level: 'silent' }),
  });
  await pool.open();
  await waits(1);
});
afterEach(async () => {
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

const waits = (count: number): Promise<boolean> => until(() => pool.waiting === count, { timeoutMs: 20_000, what: `${count} waiting processes` });
const take = (rehearsal?: Rehearsal): Promise<VmProcessHandle> => pool.take('small', rehearsal);

const endOf = (process: VmProcessHandle): Promise<unknown> =>
  new Promise((resolve) => process.listen({ onEvent: () => undefined, onExit: resolve }));
const isAlive = (pid: number | undefined): boolean => {
  try {
    return process.kill(pid ?? 0, 0);
  } catch {
    return false;
  }
};

describe('A VM process', () => {
  it('answers a request, or refuses it with its reason', async () => {
    const process = await take();
    await expect(process.request({ type: 'Pause' }, 5_000)).resolves.toEqual({});
    await expect(process.request({ type: 'Resume' }, 5_000)).rejects.toMatchObject({
      name: VmProcessRefusal.name,
      reason: 'NotStarted',
      message: 'no',
    });
  });

  it('that does not answer fails the request at its deadline, and one that ends, at once', async () => {
    const process = await take();
    await expect(process.request({ type: 'Snapshot', directory: 'silence' }, 50)).rejects.toThrow(/within 50 ms/);
    const pending = process.request({ type: 'Snapshot', directory: 'silence' }, 60_000);
    process.kill();
    await expect(pending).rejects.toThrow(/has ended/);
    await expect(process.request({ type: 'Pause' }, 60_000)).rejects.toThrow(/has ended/);
  });

  it('has its last words heard before its end is told', async () => {
    const process = await take();
    const heard: unknown[] = [];
    const ended = new Promise((resolve) =>
      process.listen({ onEvent: (event) => heard.push(event), onExit: (exit) => resolve(heard.push(exit)) }),
    );
    await process.request({ type: 'Stop', graceMs: 0 }, 5_000);
    await ended;
    expect(heard).toEqual([{ type: 'Ended', reason: 'GuestPoweredOff', message: 'bye' }, { exitCode: 7 }]);
  });

  it('that stops speaking the protocol is ended', async () => {
    const process = await take();
    const ended = endOf(process);
    await expect(process.request({ type: 'Snapshot', directory: 'nonsense' }, 5_000)).rejects.toThrow(/has ended/);
    await expect(ended).resolves.toEqual({ signal: 'SIGKILL' });
  });

  it('cannot fill memory or disk by what it prints', async () => {
    const process = await take();
    const path = join(folder, 'process.log');
    process.log.writeTo(path);
    await process.request({ type: 'Snapshot', directory: 'shout' }, 5_000);
    await until(() => process.log.tail.endsWith('THE END'), { timeoutMs: 5_000, what: 'the end of the output' });
    expect(process.log.tail.length).toBeLessThanOrEqual(16 * 1024);
    process.kill();
    await process.exited();
    expect((await readFile(path)).length).toBeLessThanOrEqual(1024 * 1024);
  });

  it('knows nothing of the environment of the agent but the firmware to warm up with, and works in a folder of its own', async () => {
    process.env['CORRAL_NODE_TOKEN'] = 'secret';
    const vm = await take();
    await vm.request({ type: 'Snapshot', directory: 'environment' }, 5_000);
    const [own] = (await readdir(join(folder, 'processes'), { recursive: true })).filter((name) =>
      name.endsWith('environment.json'),
    );
    const seen = JSON.parse(await readFile(join(folder, 'processes', own ?? ''), 'utf8')) as Record<string, string>;
    delete process.env['CORRAL_NODE_TOKEN'];
    expect(
      Object.keys(seen)
        .filter((name) => !name.startsWith('NODE_CHANNEL'))
        .sort(),
    ).toEqual(['MALLOC_ARENA_MAX', 'argv', 'cwd']);
    expect(seen['argv']).toBe('bios.bin,vgabios.bin');
    expect(seen['cwd']).toContain(join(folder, 'processes'));
  });
});

describe('The pool', () => {
  it('has a process waiting, and another soon after it was taken', async () => {
    const first = await take();
    const second = await take();
    expect(second.pid).not.toBe(first.pid);
    expect([first.hasExited, second.hasExited]).toEqual([false, false]);
  });

  it('has what waits rehearse an expected start, before any machine was started', async () => {
    const start = { config: {} as NonNullable<Rehearsal['start']>['config'], from: { type: 'Boot' } } as const;
    pool.expect('small', { likeness: 'image 128', start });
    const folders = (): Promise<string[]> => readdir(join(folder, 'processes'));
    await until(async () => (await folders()).join() === '2', { timeoutMs: 20_000, what: 'the one that did not rehearse to be gone' });
    const process = await take({ likeness: 'image 128', start: undefined });
    expect(await readdir(process.directory)).toContain('rehearsed');
  });

  it('does not hand out a process that has died while it waited', async () => {
    const waiting = await take();
    const folders = async (): Promise<string[]> => readdir(join(folder, 'processes'));
    await until(async () => (await folders()).length === 2, { timeoutMs: 10_000, what: 'another waiting process' });
    waiting.kill();
    await waiting.exited();
    const next = await take();
    expect(next.hasExited).toBe(false);
    await next.request({ type: 'Pause' }, 5_000);
  });

  it('leaves no process and starts none when it is closed', async () => {
    const taken = await take();
    await pool.close();
    expect(isAlive(taken.pid)).toBe(false);
    await expect(take()).rejects.toThrow(/closed/);
  });

  it('says so when the program cannot start', async () => {
    await writeFile(join(folder, 'program.mjs'), 'process.exit(3)');
    const broken = new ProcessPool({
      entryPath: join(folder, 'program.mjs'),
      firmware: FIRMWARE,
      directory: join(folder, 'broken'),
      size: 0,
      log: pino({ level: 'silent' }),
    });
    await broken.open();
    await expect(broken.take('small')).rejects.toThrow(/has ended/);
  });
});
