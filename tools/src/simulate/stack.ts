import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { HttpObjectClient } from '@corral/client';
import { startObjectStore, startPostgres, startRedis } from '@corral/embedded';
import getPort from 'get-port';
import { z } from 'zod';
import { KeepAliveConnection } from './keep-alive-connection.ts';

export interface StackProcess {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** A control plane of its own, on a PostgreSQL that commits to disk. */
export interface SimulationStack {
  readonly postgresPid: number;
  readonly nodeToken: string;
  readonly adminToken: string;
  readonly home: string;
  /** One more process of it, with the roles named. */
  start(name: string, options: { readonly roles: string; readonly port?: number; readonly nodeArguments?: readonly string[] }): Promise<StackProcess>;
  client(of: StackProcess): HttpObjectClient;
  /** Warnings and errors the processes logged, counted by message. */
  complaints(): Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

const READY_MS = 60_000;

export async function startStack(root: string, { PATH }: NodeJS.ProcessEnv): Promise<SimulationStack> {
  const home = mkdtempSync(join(tmpdir(), 'corral-simulate-'));
  const [postgres, redis, objectStore] = await Promise.all([startPostgres({ home, durability: 'Full' }), startRedis({ home }), startObjectStore({ home })]);
  const environment = { PATH, DATABASE_URL: postgres.url };
  await promisify(execFile)(process.execPath, ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', 'prisma/migrate.ts'], { cwd: root, env: environment });
  const [adminToken, nodeToken] = [randomBytes(16), randomBytes(16)].map((bytes) => bytes.toString('hex')) as [string, string];
  const processes: StackProcess[] = [];

  return {
    home,
    adminToken,
    nodeToken,
    postgresPid: Number(readFileSync(join(home, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[0]),
    client: ({ url }) => new HttpObjectClient(new KeepAliveConnection({ baseUrl: url, token: adminToken, deadlineMs: 120_000 })),
    complaints() {
      const counts: Record<string, number> = {};
      for (const { name } of processes) {
        for (const line of readFileSync(join(home, `${name}.log`), 'utf8').split('\n')) {
          const { data } = LogLine.safeParse(jsonOf(line));
          if (!data) continue;
          const what = `${name}: ${data.msg}${data.err ? `: ${data.err.message.slice(0, 200)}` : ''}`;
          counts[what] = (counts[what] ?? 0) + 1;
        }
      }
      return counts;
    },
    async start(name, { roles, port: wanted, nodeArguments = [] }) {
      const port = wanted ?? (await getPort());
      const url = `http://127.0.0.1:${port}`;
      const logFile = join(home, `${name}.log`);
      const log = openSync(logFile, 'a');
      const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...nodeArguments, 'apps/api/dist/main.js'], {
        cwd: root,
        stdio: ['pipe', log, log],
        env: {
          ...environment,
          REDIS_URL: redis.url,
          S3_ENDPOINT: objectStore.url,
          S3_REGION: objectStore.region,
          S3_ACCESS_KEY_ID: objectStore.accessKeyId,
          S3_SECRET_ACCESS_KEY: objectStore.secretAccessKey,
          CORRAL_PORT: String(port),
          CORRAL_ROLES: roles,
          CORRAL_ADMIN_TOKEN: adminToken,
          CORRAL_NODE_TOKEN: nodeToken,
          CORRAL_EXIT_ON_STDIN_EOF: '1',
          CORRAL_LOG_LEVEL: 'warn',
        },
      });
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      const started: StackProcess = {
        name,
        url,
        port,
        pid: child.pid ?? 0,
        async stop() {
          child.stdin?.end();
          await ended;
        },
      };
      await untilReady(url, child, logFile);
      processes.push(started);
      return started;
    },
    async stop() {
      for (const each of processes.toReversed()) await each.stop();
      await Promise.all([postgres.stop(), redis.stop(), objectStore.stop()]);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

const LogLine = z.object({ level: z.number().min(40), msg: z.string().default(''), err: z.object({ message: z.string() }).optional() });

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

async function untilReady(url: string, child: ChildProcess, logFile: string): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while (!(await fetch(`${url}/readyz`).then(({ ok }) => ok, () => false))) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`the API did not start:\n${readFileSync(logFile, 'utf8')}`);
    await delay(50);
  }
}
