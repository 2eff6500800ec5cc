import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { StartFailure } from '@corral/embedded';
import { Problem } from '@corral/contracts';
import { Terminal } from '../terminal/terminal.ts';
import { readConfig } from './config.ts';
import { openHome } from './home.ts';
import { launch } from './launcher.ts';
import { LaunchFailure } from './launch-failure.ts';
import { findNpm, isAlive } from './process-table.ts';
import { Supervisor } from './supervisor.ts';

const USAGE = `Usage: npm start [-- options]

Starts a whole Corral on this machine: PostgreSQL, Redis and an object store where the environment names none, the API,
the console and a worker. The first start builds what is needed.

Options:
  --workers <n>   how many workers, worker-1 to worker-<n>, which share this machine's memory (default 1)
  --help          this text

Environment:
  CORRAL_HOME     where all state is kept (default .corral)
  CORRAL_HOST     address to listen on (default 127.0.0.1)
  CORRAL_PORT     port of the API and the console (default 8086)
  DATABASE_URL    a PostgreSQL to use instead of the embedded one
  REDIS_URL       a Redis or Valkey to use instead of the embedded one
  S3_ENDPOINT     an object store to use instead of the embedded one, with
                  S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_REGION (us-east-1) and S3_BUCKET (corral)
  NO_COLOR        any value: no colours`;

const OLDEST_NODE = 24;
const ORPHAN_CHECK_MS = 500;
const INTERRUPTED = 130;

const root = resolve(import.meta.dirname, '../../..');
const terminal = new Terminal(process.stdout, { colour: process.env['NO_COLOR'] === undefined });
const supervisor = new Supervisor(terminal);
let unlock: () => void = () => undefined;
let ending: Promise<never> | undefined;

/** Stops everything in order. The second call does not wait. */
function end(exitCode: number, failure?: string): Promise<never> {
  if (ending) {
    supervisor.killAll();
    unlock();
    process.exit(INTERRUPTED);
  }
  ending = supervisor.stopAll(failure === undefined ? 'EachStep' : 'Nothing').then(
    () => {
      if (failure !== undefined) terminal.fail(failure);
      unlock();
      process.exit(exitCode);
    },
    (error: unknown) => {
      terminal.fail(error instanceof Error ? error.message : String(error));
      supervisor.killAll();
      unlock();
      process.exit(1);
    },
  );
  return ending;
}

function interrupt(): void {
  if (!ending) terminal.line(`\nStopping. ${terminal.paint('dim', 'Ctrl-C again ends everything at once.')}`);
  void end(0);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { workers: { type: 'string', default: '1' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) return console.log(USAGE);
  const node = Number(process.versions.node.split('.')[0]);
  if (node < OLDEST_NODE) {
    throw new LaunchFailure(
      `Corral needs Node ${OLDEST_NODE}, and this is ${process.versions.node}: npm install brings it, and npm start uses it`,
    );
  }
  const workers = Number(values.workers);
  if (!Number.isInteger(workers) || workers < 1 || workers > 64)
    throw new LaunchFailure('--workers must be from 1 to 64');
  const config = readConfig(process.env, workers);
  unlock = openHome(config.home);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  // npm may be killed without telling us; whoever starts us directly may end and mean us to stay.
  const npm = process.env['npm_lifecycle_event'] === undefined ? undefined : findNpm();
  if (npm) {
    setInterval(() => {
      if (!isAlive(npm) && !ending) interrupt();
    }, ORPHAN_CHECK_MS).unref();
  }
  await launch({ root, config, environment: process.env, supervisor, terminal });
}

/** Words for people where we have them; a bug shows its stack. */
function describe(error: unknown): string {
  const isUsage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (error instanceof LaunchFailure || error instanceof StartFailure || error instanceof Problem || isUsage)
    return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

main().catch(async (error: unknown) => {
  if (ending) return;
  await end(1, describe(error));
});
