/** `npm run bench`: what users wait for, and the memory engine; or one benchmark by its name, with options of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

interface Benchmark {
  readonly file: string;
  readonly about: string;
}
const BENCHMARKS: Readonly<Record<string, Benchmark | undefined>> = {
  users: { file: 'users.ts', about: 'what users of machines wait for, and what an idle machine costs' },
  memory: { file: 'memory.ts', about: 'the memory engine: every figure it is to reach' },
  api: { file: 'api.ts', about: 'the API at 50 clients, and watches at 1,000 watchers' },
  scheduler: { file: 'scheduler.ts', about: 'what a decision costs, and bindings a second' },
  fairness: { file: 'fairness.ts', about: 'what one noisy tenant costs another' },
  access: { file: 'access-control.ts', about: 'what deciding costs who may do what' },
};
/** Run one after the other where none is named. */
const USUAL = ['users', 'memory'];

const USAGE = `Usage: npm run bench -- [name [options]]

Measures on a Corral of its own; without a name ${USUAL.join(' and ')}. Each is also npm run bench:<name>, and lists its options with --help.

${Object.entries(BENCHMARKS).map(([name, benchmark]) => `  ${name.padEnd(10)} ${benchmark?.about ?? ''}`).join('\n')}`;

async function run({ file }: Benchmark, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, path.join(import.meta.dirname, file), ...args], { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

const [first, ...rest] = process.argv.slice(2);
if (first === '--help' || first === '-h') {
  console.log(USAGE);
  process.exit(0);
}
for (const [name, args] of first === undefined ? USUAL.map((usual) => [usual, []] as const) : [[first, rest] as const]) {
  const benchmark = BENCHMARKS[name];
  if (!benchmark) {
    console.error(`npm run bench: there is no ${name}: choose from ${Object.keys(BENCHMARKS).join(', ')}`);
    process.exit(1);
  }
  const exitCode = await run(benchmark, args);
  if (exitCode !== 0) process.exit(exitCode);
}
