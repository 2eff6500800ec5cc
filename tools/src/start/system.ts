import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { findProgram } from '@corral/embedded';
import type { Terminal } from '../terminal/terminal.ts';
import { builtImageFile, DEFAULT_IMAGE } from './images.ts';
import { LaunchFailure } from './launch-failure.ts';

const APT_TIMEOUT_MS = 180_000;

/** Program → the Debian package that brings it. */
const ALWAYS = { setpriv: 'util-linux', sh: 'dash' };
/** What building the default image needs besides: a bare Debian has no xz. */
const FOR_IMAGE = { xz: 'xz-utils' };

/**
 * Sees that there is what a fresh machine may lack, before anything else is done. Installs it where that is ours to do: as
 * root, with apt. Elsewhere throws LaunchFailure with the line that does.
 */
export async function prepareSystem(
  home: string,
  environment: NodeJS.ProcessEnv,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const hasImage = existsSync(builtImageFile(home, DEFAULT_IMAGE));
  const missing = (): string[] =>
    Object.entries({ ...ALWAYS, ...(hasImage ? {} : FOR_IMAGE) })
      .filter(([program]) => findProgram(program) === undefined)
      .map(([, name]) => name);
  const packages = missing();
  if (packages.length === 0) return;
  const names = packages.join(' ');
  const isRoot = process.getuid?.() === 0;
  let cause: unknown;
  if (isRoot && findProgram('apt-get') !== undefined) {
    terminal.line(`Installing ${names}, which this machine lacks, with apt-get`);
    try {
      await install(packages, environment, signal);
    } catch (error) {
      signal.throwIfAborted();
      cause = error;
    }
    if (missing().length === 0) return;
  }
  const line = `${isRoot ? '' : 'sudo '}apt-get install -y ${names}`;
  throw new LaunchFailure(`Programs are missing. Install them with: ${line}`, { cause });
}

async function install(
  packages: readonly string[],
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<void> {
  const apt = (...args: string[]): Promise<unknown> =>
    promisify(execFile)('apt-get', ['-q', ...args], {
      env: { ...environment, DEBIAN_FRONTEND: 'noninteractive' },
      timeout: APT_TIMEOUT_MS,
      signal,
    });
  const wanted = ['install', '-y', '--no-install-recommends', ...packages];
  // A fresh machine has no package lists yet.
  await apt(...wanted).catch(async () => {
    await apt('update');
    await apt(...wanted);
  });
}
