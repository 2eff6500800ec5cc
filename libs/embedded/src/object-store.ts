import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { startEntry, stopChild } from './child.ts';
import { rotateLog } from './log-file.ts';
import { rememberedPort } from './port.ts';
import { rememberedSecret } from './secret.ts';

export interface ObjectStoreOptions {
  /** Its objects live in `object-store/` below. */
  readonly home: string;
  /** Full: an acknowledged object is on disk. Test: fast, and a power cut may lose it. */
  readonly durability?: 'Full' | 'Test';
  readonly logFile?: string;
}

export interface EmbeddedObjectStore {
  /** S3_ENDPOINT; buckets are named in the path. */
  readonly url: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): void;
  /** Resolves when the server has ended, whoever ended it. */
  readonly ended: Promise<void>;
}

const Hello = z.object({ url: z.string() });

/** Starts an S3 server on a local folder. Only holders of its key get in. Throws StartFailure when it does not come up. */
export async function startObjectStore(options: ObjectStoreOptions): Promise<EmbeddedObjectStore> {
  const home = join(resolve(options.home), 'object-store');
  const folder = join(home, 'buckets');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const logFile = options.logFile ?? join(home, 'server.log');
  rotateLog(logFile);
  const accessKeyId = 'corral';
  const secretAccessKey = rememberedSecret(join(home, 'secret-access-key'));
  const port = await rememberedPort(join(home, 'port'));
  const settings = { folder, port, accessKeyId, secretAccessKey, durability: options.durability ?? 'Full' };
  const { child, hello } = await startEntry('object-store', settings, logFile);
  return {
    url: Hello.parse(hello).url,
    region: 'us-east-1',
    accessKeyId,
    secretAccessKey,
    stop: () => stopChild(child, 'SIGTERM'),
    kill: () => void child.kill('SIGKILL'),
    ended: child.exitCode === null ? new Promise((done) => child.once('exit', () => done())) : Promise.resolve(),
  };
}
