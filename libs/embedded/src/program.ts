import { spawnSync } from 'node:child_process';

/** Where a program is on PATH, as the shell sees it. */
export function findProgram(name: string): string | undefined {
  const { status, stdout } = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', name], {
    encoding: 'utf8',
    timeout: 5_000,
  });
  return status === 0 ? stdout.trim() : undefined;
}
