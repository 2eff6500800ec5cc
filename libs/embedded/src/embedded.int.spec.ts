import { spawn, type ChildProcess } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startPostgres } from './postgres.ts';

const HOST = join(import.meta.dirname, '../test/host.ts');

describe('embedded servers', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'corral-embedded-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  it('die with their parent on kill -9, and start again on the same state', async () => {
    const host = startHost(home);
    const urls = await host.urls;
    await Promise.all(urls.map((url) => expectOpen(url)));
    host.child.kill('SIGKILL');
    await Promise.all(urls.map((url) => expectClosed(url)));

    const next = startHost(home);
    expect(await next.urls).toEqual(urls);
    next.child.stdin?.end();
    await once(next.child, 'exit');
    await Promise.all(urls.map((url) => expectClosed(url)));
  }, 60_000);

  it('run for a user who is not root', async () => {
    const nobody = 65_534;
    const root = process.getuid?.() === 0;
    if (root) chownSync(home, nobody, nobody);
    const host = startHost(home, root ? nobody : undefined);
    await Promise.all((await host.urls).map((url) => expectOpen(url)));
    host.child.stdin?.end();
    await once(host.child, 'exit');
  }, 60_000);
});

describe('startPostgres', () => {
  let home: string;
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'corral-postgres-'));
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it('keeps what was committed, at the same URL, over a restart', async () => {
    const first = await startPostgres({ home, durability: 'Test' });
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    const second = await startPostgres({ home, durability: 'Test' });
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    await second.stop();
  }, 60_000);

  it('lets nobody in without the password, and listens on 127.0.0.1 alone', async () => {
    const postgres = await startPostgres({ home, durability: 'Test' });
    const withoutPassword = new URL(postgres.url);
    withoutPassword.password = 'guess';
    await expect(query(withoutPassword.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    expect(await query(postgres.url, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
    expect(await query(postgres.url, 'SHOW unix_socket_directories')).toEqual([{ unix_socket_directories: '' }]);
    await postgres.stop();
  }, 60_000);

  it('commits to disk unless told that it is a test', async () => {
    const postgres = await startPostgres({ home });
    expect(await query(postgres.url, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
    expect(await query(postgres.url, 'SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'on' }]);
    await postgres.stop();
  }, 60_000);
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows as unknown[];
  } finally {
    await client.end();
  }
}

function startHost(home: string, uid?: number): { child: ChildProcess; urls: Promise<string[]> } {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', HOST, home], {
    stdio: ['pipe', 'pipe', 'inherit'],
    ...(uid === undefined ? {} : { uid, gid: uid, env: { PATH: '/usr/bin:/bin', HOME: home } }),
  });
  const urls = new Promise<string[]>((resolve, reject) => {
    child.stdout?.once('data', (line: Buffer) => resolve(JSON.parse(line.toString()) as string[]));
    child.once('exit', (code) => reject(new Error(`The host ended with ${code}`)));
  });
  return { child, urls };
}

async function accepts(url: string): Promise<boolean> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function expectOpen(url: string): Promise<void> {
  expect(await accepts(url)).toBe(true);
}

async function expectClosed(url: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (await accepts(url)) {
    if (performance.now() > deadline) throw new Error(`${url} still answers`);
    await sleep(20);
  }
}
