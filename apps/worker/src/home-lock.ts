import { once } from 'node:events';
import { mkdir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A worker that lost its launcher suspends its machines before it goes. */
const WAIT_MS = 30_000;
const RETRY_MS = 100;

export interface HomeLockOptions {
  readonly waitMs?: number;
  /** Told once, when another worker holds the home. */
  readonly onWait?: () => void;
}

/**
 * Takes a worker's home for this process until it ends: two agents on the same disks would destroy them. Waits for a former
 * worker to go; throws an Error for people when it does not. Answers what gives the home back.
 *
 * The lock is a listening socket in Linux's abstract namespace, so it is taken atomically, by one process at a time, and the
 * kernel gives it back however its holder ends. Source: unix(7).
 */
export async function lockHome(home: string, { waitMs = WAIT_MS, onWait }: HomeLockOptions = {}): Promise<() => void> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const { dev, ino } = await stat(home);
  const deadline = Date.now() + waitMs;
  for (let attempt = 1; ; attempt++) {
    const release = await listen(`\0corral-worker-home-${dev}-${ino}`);
    if (release) return release;
    if (Date.now() >= deadline) {
      throw new Error(
        `CORRAL_WORKER_HOME: another worker runs on ${home} and did not go within ${waitMs / 1000} s: stop it, or use another folder`,
      );
    }
    if (attempt === 1) onWait?.();
    await sleep(RETRY_MS);
  }
}

/** Undefined when another listens there. */
async function listen(path: string): Promise<(() => void) | undefined> {
  const server = createServer((connection) => connection.destroy());
  try {
    server.listen(path);
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
  server.unref();
  return () => server.close();
}
