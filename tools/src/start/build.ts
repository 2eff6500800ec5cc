import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Terminal } from '../terminal/terminal.ts';
import { buildReport } from './build-report.ts';
import { runChild } from './child.ts';
import { LaunchFailure } from './launch-failure.ts';

const SOURCES = ['apps', 'libs', 'prisma', 'package-lock.json', 'tsconfig.base.json', 'nx.json'];
const NOT_SOURCES = new Set(['node_modules', 'dist', 'generated', 'coverage']);
const OUTPUTS = ['apps/api/dist/main.js', 'apps/worker/dist/main.js', 'apps/console/dist/index.html', 'apps/cli/dist/main.js'];
const PROJECTS = ['@corral/api', '@corral/worker', '@corral/console', '@corral/cli'];

/** Builds what Corral runs. Nx knows best what is stale, but takes seconds to say so: a stamp says it in milliseconds. */
export async function buildIfStale(
  root: string,
  environment: NodeJS.ProcessEnv,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<'Built' | 'UpToDate'> {
  const stampFile = join(root, '.nx', 'corral-build-stamp');
  const stamp = stampOf(root);
  if (OUTPUTS.every((file) => existsSync(join(root, file))) && readIfThere(stampFile) === stamp) return 'UpToDate';

  terminal.doing('Build', 'compiling');
  const said: string[] = [];
  const { exitCode, errors } = await runChild(
    {
      args: [
        join(root, 'node_modules/nx/dist/bin/nx.js'),
        'run-many',
        '-t',
        'build',
        '-p',
        PROJECTS.join(','),
        '--output-style=stream',
      ],
      cwd: root,
      environment: { ...environment, NX_DAEMON: 'false', NO_COLOR: '1', NX_TUI: 'false' },
    },
    (line) => {
      said.push(line);
      const project = /^\s*nx run (@corral\/\S+)|^> nx run (@corral\/\S+)/.exec(line);
      if (project) terminal.doing('Build', project[1] ?? project[2] ?? '');
    },
    signal,
  );
  if (exitCode !== 0) {
    throw new LaunchFailure(`Corral could not be built:\n${buildReport([...said, errors].join('\n'))}`);
  }
  mkdirSync(join(root, '.nx'), { recursive: true });
  writeFileSync(stampFile, stamp);
  return 'Built';
}

/** Changes when any source is changed, added or removed: names, sizes and times of all of them. */
function stampOf(root: string): string {
  const hash = createHash('sha256');
  const visit = (path: string): void => {
    const stats = statSync(path);
    if (stats.isDirectory()) {
      for (const name of readdirSync(path).sort()) {
        if (!NOT_SOURCES.has(name) && !name.endsWith('.tsbuildinfo')) visit(join(path, name));
      }
    } else {
      hash.update(`${path} ${stats.size} ${stats.mtimeMs}\n`);
    }
  };
  for (const source of SOURCES) visit(join(root, source));
  return hash.digest('hex');
}

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}
