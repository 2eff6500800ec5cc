import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rmdir, stat, utimes } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isNativeError } from 'node:util/types';

const REPOSITORY = resolve(import.meta.dirname, '../../..');
const LOCK_IS_STALE_AFTER_MS = 30_000;
const LOOK_AGAIN_AFTER_MS = 500;

/** An image as `npm run images` built it: `current.json`, as far as tests need it. */
export interface BuiltGuestImage {
  readonly name: string;
  readonly commandLine: string;
  /** Kubernetes quantity. */
  readonly memory: string;
  readonly guestAgent: boolean;
  readonly acpi: boolean;
  readonly digest: string;
  readonly directory: string;
  readonly artifacts: Readonly<Record<string, { readonly file: string; readonly sha256: string; readonly sizeBytes: number }>>;
}

export interface GuestImages {
  /** The CORRAL_HOME that holds them. */
  readonly home: string;
  /** Has bios.bin and vgabios.bin. */
  readonly firmwareDirectory: string;
  image(name: string): Promise<BuiltGuestImage>;
}

/**
 * The guest images real tests boot: from CORRAL_TEST_HOME, else from `.corral-test` in the repository, where the
 * default image is built when it is not there yet (which takes a minute, once).
 */
export async function guestImages(): Promise<GuestImages> {
  const home = resolve(process.env['CORRAL_TEST_HOME'] ?? join(REPOSITORY, '.corral-test'));
  const current = (name: string): string => join(home, 'images', name, 'current.json');
  if (!existsSync(current('linux-minimal'))) await whileLocked(join(home, 'images.lock'), () => build(home, current('linux-minimal')));
  return {
    home,
    firmwareDirectory: join(home, 'images/firmware'),
    image: async (name) => JSON.parse(await readFile(current(name), 'utf8')) as BuiltGuestImage,
  };
}

async function build(home: string, current: string): Promise<void> {
  if (existsSync(current)) return;
  const command = ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', 'images/src/main.ts', 'linux-minimal', '--home', home];
  await promisify(execFile)(process.execPath, command, { cwd: REPOSITORY, maxBuffer: 64 * 1024 * 1024 });
}

/** One builder among the processes of a test run: the others wait for what it makes. */
async function whileLocked(lock: string, work: () => Promise<void>): Promise<void> {
  await mkdir(resolve(lock, '..'), { recursive: true });
  while (!(await take(lock))) await delay(LOOK_AGAIN_AFTER_MS);
  const refresh = setInterval(() => void utimes(lock, new Date(), new Date()).catch(() => undefined), LOCK_IS_STALE_AFTER_MS / 3);
  try {
    await work();
  } finally {
    clearInterval(refresh);
    await rmdir(lock);
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await mkdir(lock);
    return true;
  } catch (error) {
    // Jest's realms each have an Error of their own, so instanceof does not know one from the file system.
    if (!isNativeError(error) || !('code' in error) || error.code !== 'EEXIST') throw error;
    const age = await stat(lock).then(({ mtimeMs }) => Date.now() - mtimeMs, () => 0);
    // Its owner was killed.
    if (age > LOCK_IS_STALE_AFTER_MS) await rmdir(lock).catch(() => undefined);
    return false;
  }
}
