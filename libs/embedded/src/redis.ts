import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { spawnLeashed, startEntry, StartFailure, stopChild } from './child.ts';
import { logTail, rotateLog } from './log-file.ts';
import { rememberedPort } from './port.ts';
import { findProgram } from './program.ts';
import { rememberedSecret } from './secret.ts';

const START_TIMEOUT_MS = 15_000;

export interface RedisOptions {
  /** Its password and port live in `redis/` below; its data only in memory, because it only carries hints. */
  readonly home: string;
  /** Native: a redis-server or valkey-server of this machine. Bundled: Valkey as WebAssembly. Default: native where there is one. */
  readonly engine?: 'Native' | 'Bundled';
  readonly logFile?: string;
}

export interface EmbeddedRedis {
  readonly url: string;
  readonly engine: 'Native' | 'Bundled';
  readonly pid: number;
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): void;
  /** Resolves when the server has ended, whoever ended it. */
  readonly ended: Promise<void>;
}

/** The native server of this machine, if it has one. */
export const findNativeRedis = (): string | undefined => findProgram('redis-server') ?? findProgram('valkey-server');

/** Starts a real Redis or Valkey that never evicts, as BullMQ asks. Throws StartFailure when it does not come up. */
export async function startRedis(options: RedisOptions): Promise<EmbeddedRedis> {
  const home = join(resolve(options.home), 'redis');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const logFile = options.logFile ?? join(home, 'server.log');
  rotateLog(logFile);
  const password = rememberedSecret(join(home, 'password'));
  const port = await rememberedPort(join(home, 'port'));
  const url = `redis://:${password}@127.0.0.1:${port}/0`;

  const native = options.engine === 'Bundled' ? undefined : findNativeRedis();
  if (options.engine === 'Native' && native === undefined)
    throw new StartFailure('No redis-server or valkey-server is on PATH');
  const child = native
    ? spawnLeashed([native, writeConfiguration(home, port, password)], { cwd: home, logFile, deathSignal: 'SIGTERM' })
    : (await startEntry('redis', { port, password }, logFile)).child;
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const stop = (): Promise<void> => stopChild(child, 'SIGTERM');
  try {
    await waitUntilReady(url, () => child.exitCode !== null || child.signalCode !== null, logFile);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, engine: native ? 'Native' : 'Bundled', pid: child.pid ?? 0, stop, kill: () => void child.kill('SIGKILL'), ended };
}

/** In a file, so that the password is not in `ps`. */
function writeConfiguration(home: string, port: number, password: string): string {
  const file = join(home, 'server.conf');
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${password}`,
    'save ""',
    'appendonly no',
    'maxmemory-policy noeviction',
    `dir ${home}`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  return file;
}

async function waitUntilReady(url: string, hasEnded: () => boolean, logFile: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const client = new Redis(url, {
      lazyConnect: true,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      connectTimeout: 2_000,
    });
    client.on('error', () => undefined); // The rejection of connect() says the same.
    try {
      await client.connect();
      await client.ping();
      return;
    } catch (cause) {
      if (hasEnded() || performance.now() > deadline)
        throw new StartFailure(`Redis did not start\n${logTail(logFile)}`, { cause });
      await sleep(25);
    } finally {
      client.disconnect();
    }
  }
}
