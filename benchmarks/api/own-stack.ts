import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startObjectStore, startPostgres, startRedis } from '@corral/embedded';
import getPort from 'get-port';
import type { Target } from './connection.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** A whole API process on a PostgreSQL of its own that commits to disk, as in production. */
export interface OwnStack {
  readonly target: Target;
  readonly apiPid: number;
  readonly postgresPid: number;
  /** What PostgreSQL says of its durability. */
  readonly durability: string;
  /** What another process needs to serve the same database. */
  readonly env: Readonly<Record<string, string | undefined>>;
  stop(): Promise<void>;
}

export async function startOwnStack(options: { readonly profile: boolean; readonly tls?: boolean; readonly env?: Readonly<Record<string, string>> }): Promise<OwnStack> {
  const home = mkdtempSync(path.join(tmpdir(), 'corral-bench-'));
  const [postgres, redis, objectStore] = await Promise.all([startPostgres({ home, durability: 'Full' }), startRedis({ home }), startObjectStore({ home })]);
  await promisify(execFile)(process.execPath, ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', 'prisma/migrate.ts'], {
    cwd: ROOT,
    env: { ...process.env, DATABASE_URL: postgres.url },
  });
  const port = await getPort();
  const token = randomBytes(16).toString('hex');
  const log = openSync(path.join(home, 'api.log'), 'w');
  const profiling = options.profile ? ['--cpu-prof', `--cpu-prof-dir=${process.cwd()}`, '--cpu-prof-interval=500'] : [];
  const env = {
    PATH: process.env['PATH'],
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    S3_ENDPOINT: objectStore.url,
    S3_REGION: objectStore.region,
    S3_ACCESS_KEY_ID: objectStore.accessKeyId,
    S3_SECRET_ACCESS_KEY: objectStore.secretAccessKey,
    CORRAL_PORT: String(port),
    CORRAL_ADMIN_TOKEN: token,
    CORRAL_NODE_TOKEN: randomBytes(16).toString('hex'),
    CORRAL_EXIT_ON_STDIN_EOF: '1',
    CORRAL_LOG_LEVEL: 'warn',
    ...(options.tls ? { CORRAL_TLS_DIR: path.join(home, 'tls') } : {}),
    ...options.env,
  };
  const api: ChildProcess = spawn(process.execPath, [...profiling, 'apps/api/dist/main.js'], {
    cwd: ROOT,
    stdio: ['pipe', log, log],
    env,
  });
  const plain = { url: `http://127.0.0.1:${port}`, token };
  const ended = new Promise<void>((resolve) => api.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    api.stdin?.end();
    await ended;
    await Promise.all([postgres.stop(), redis.stop(), objectStore.stop()]);
    rmSync(home, { recursive: true, force: true });
  };
  const deadline = Date.now() + 60_000;
  // Controllers make the default namespace; without them whoever asked does.
  const signs = options.env?.['CORRAL_ROLES'] === 'api' ? ['/readyz'] : ['/readyz', '/api/v1/namespaces/default'];
  while (!(await isReady(plain, signs))) {
    if (api.exitCode !== null || Date.now() > deadline) {
      const text = readFileSync(path.join(home, 'api.log'), 'utf8');
      await stop();
      throw new Error(`the API did not start:\n${text}`);
    }
    await delay(50);
  }
  const postgresPid = Number(readFileSync(path.join(home, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[0]);
  const target = options.tls ? { ...plain, url: plain.url.replace('http:', 'https:') } : plain;
  return { target, apiPid: api.pid ?? 0, postgresPid, durability: 'fsync=on, synchronous_commit=on, full_page_writes=on', env, stop };
}

async function isReady({ url, token }: Target, signs: readonly string[]): Promise<boolean> {
  const headers = { authorization: `Bearer ${token}` };
  const answers = await Promise.all(signs.map((where) => fetch(`${url}${where}`, { headers }).catch(() => undefined)));
  return answers.every((answer) => answer?.ok);
}
