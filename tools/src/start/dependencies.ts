import { join } from 'node:path';
import { startObjectStore, startPostgres, startRedis } from '@corral/embedded';
import { ObjectStore, ObjectStoreFailure } from '@corral/object-store';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { Terminal } from '../terminal/terminal.ts';
import type { Running } from './child.ts';
import type { LauncherConfig, ObjectStoreSettings } from './config.ts';
import { LaunchFailure } from './launch-failure.ts';
import type { Supervisor } from './supervisor.ts';

const CHECK_TIMEOUT_MS = 5_000;

/** Where PostgreSQL, Redis and S3 are: ours, or the ones the environment names. */
export interface Dependencies {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly objectStore: ObjectStoreSettings;
}

/** Looks at what the environment names, before anything is started. Throws LaunchFailure naming the variable. */
export async function checkDependencies({ databaseUrl, redisUrl, objectStore, bucket }: LauncherConfig): Promise<void> {
  if (databaseUrl !== undefined) await checkPostgres(databaseUrl);
  if (redisUrl !== undefined) await checkRedis(redisUrl);
  if (objectStore !== undefined) await checkObjectStore(objectStore, bucket);
}

/** Starts what the environment does not name. */
export async function openDependencies(
  config: LauncherConfig,
  logs: string,
  supervisor: Supervisor,
  terminal: Terminal,
): Promise<Dependencies> {
  const [databaseUrl, redisUrl, objectStore] = await settleAll([
    openDatabase(config, logs, supervisor, terminal),
    openRedis(config, logs, supervisor, terminal),
    openObjectStore(config, logs, supervisor, terminal),
  ]);
  return { databaseUrl, redisUrl, objectStore };
}

/** Like Promise.all, but nothing is still starting when it rejects. */
async function settleAll<T extends readonly unknown[]>(promises: {
  readonly [I in keyof T]: Promise<T[I]>;
}): Promise<T> {
  await Promise.allSettled(promises);
  return (await Promise.all(promises)) as unknown as T;
}

async function openDatabase(
  { home, databaseUrl }: LauncherConfig,
  logs: string,
  supervisor: Supervisor,
  terminal: Terminal,
): Promise<string> {
  const name = 'PostgreSQL';
  if (databaseUrl !== undefined) {
    terminal.done(name, addressOf(databaseUrl));
    return databaseUrl;
  }
  terminal.doing(name, 'starting');
  const { url } = await supervisor.start(name, async () =>
    embedded(await startPostgres({ home, logFile: join(logs, 'postgres.log') })),
  );
  terminal.done(name, `embedded, ${addressOf(url)}`);
  return url;
}

async function openRedis(
  { home, redisUrl }: LauncherConfig,
  logs: string,
  supervisor: Supervisor,
  terminal: Terminal,
): Promise<string> {
  const name = 'Redis';
  if (redisUrl !== undefined) {
    terminal.done(name, addressOf(redisUrl));
    return redisUrl;
  }
  terminal.doing(name, 'starting');
  const { url, engine } = await supervisor.start(name, async () =>
    embedded(await startRedis({ home, logFile: join(logs, 'redis.log') })),
  );
  terminal.done(name, `${engine === 'Native' ? 'this machine’s' : 'embedded'}, ${addressOf(url)}`);
  return url;
}

async function openObjectStore(
  { home, objectStore }: LauncherConfig,
  logs: string,
  supervisor: Supervisor,
  terminal: Terminal,
): Promise<ObjectStoreSettings> {
  const name = 'Object store';
  if (objectStore !== undefined) {
    terminal.done(name, addressOf(objectStore.endpoint));
    return objectStore;
  }
  terminal.doing(name, 'starting');
  const { url, region, accessKeyId, secretAccessKey } = await supervisor.start(name, async () =>
    embedded(await startObjectStore({ home, logFile: join(logs, 'object-store.log') })),
  );
  terminal.done(name, `embedded, ${addressOf(url)}`);
  return { endpoint: url, region, accessKeyId, secretAccessKey };
}

/** An embedded server as something the supervisor can keep. */
function embedded<T extends { stop(): Promise<void>; kill(): void; readonly ended: Promise<void> }>(
  server: T,
): Omit<T, 'ended'> & Running {
  return { ...server, ended: server.ended.then(() => 'see its log') };
}

async function checkPostgres(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CHECK_TIMEOUT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
  } catch (cause) {
    throw new LaunchFailure(
      `DATABASE_URL: ${POSTGRES_ERRORS[codeOf(cause)] ?? `PostgreSQL at ${addressOf(url)} cannot be reached (${codeOf(cause)})`}`,
      { cause },
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Source: PostgreSQL documentation, Appendix A, error codes. */
const POSTGRES_ERRORS: Readonly<Record<string, string>> = {
  '28P01': 'PostgreSQL refused the password',
  '28000': 'PostgreSQL refused this user',
  '3D000': 'the database it names does not exist',
};

async function checkRedis(url: string): Promise<void> {
  const client = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: CHECK_TIMEOUT_MS,
  });
  let connectionError: unknown;
  client.on('error', (error) => {
    connectionError = error;
  });
  try {
    await client.connect();
    await client.ping();
  } catch (cause) {
    const code = codeOf(connectionError ?? cause);
    throw new LaunchFailure(`REDIS_URL: Redis at ${addressOf(url)} cannot be used (${code})`, { cause });
  } finally {
    client.disconnect();
  }
}

async function checkObjectStore(settings: ObjectStoreSettings, bucket: string): Promise<void> {
  const store = new ObjectStore({ ...settings, bucket, timeoutMs: CHECK_TIMEOUT_MS });
  try {
    await store.ensureBucket();
  } catch (cause) {
    const reason = cause instanceof ObjectStoreFailure ? cause.reason : 'Unreachable';
    if (reason === 'Denied')
      throw new LaunchFailure(
        `S3_ACCESS_KEY_ID: the object store at ${addressOf(settings.endpoint)} refused these credentials for bucket ${bucket}`,
        { cause },
      );
    throw new LaunchFailure(
      `S3_ENDPOINT: the object store at ${addressOf(settings.endpoint)} cannot be used (${reason})`,
      { cause },
    );
  } finally {
    store.close();
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  if ('code' in error && typeof error.code === 'string') return error.code;
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  return error.message;
}

/** Host and port, without the password. */
function addressOf(url: string): string {
  const { hostname, port } = new URL(url);
  return port === '' ? hostname : `${hostname}:${port}`;
}
