import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** One whole Corral, started by the same command a newcomer runs, shared by every end-to-end test of a run. */
export interface Stack {
  readonly url: string;
  readonly adminToken: string;
  readonly home: string;
  readonly port: number;
  readonly launcherPid: number;
  /** What the launcher printed so far goes here. */
  readonly logFile: string;
  /** Launch → "Corral is ready". */
  readonly readyMs: number;
}

const ROOT = path.resolve(import.meta.dirname, '..');
const STATE_FILE = path.join(ROOT, '.corral-test', 'stack.json');
export const TEST_HOME = path.resolve(ROOT, process.env['CORRAL_TEST_HOME'] ?? '.corral-test');

/** The stack the run's global setup started. */
export function stack(): Stack {
  return JSON.parse(readFileSync(STATE_FILE, 'utf8')) as Stack;
}

/** Starts a stack on `home` and waits for "Corral is ready"; a first start on a new home builds and bakes the image. */
export async function launch(home: string, port: number, deadlineMs = 600_000): Promise<Stack> {
  mkdirSync(home, { recursive: true });
  const logFile = path.join(home, 'launcher.log');
  const log = openSync(logFile, 'w');
  const startedAt = Date.now();
  const launcher = spawn(
    process.execPath,
    ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', 'tools/src/start/main.ts'],
    {
      cwd: ROOT,
      env: { ...process.env, CORRAL_HOME: home, CORRAL_PORT: String(port), NODE_OPTIONS: '', NO_COLOR: '1' },
      stdio: ['ignore', log, log],
      detached: true,
    },
  );
  let exited: string | undefined;
  launcher.once('exit', (code, signal) => (exited = `code ${code}, signal ${signal}`));
  while (!readFileSync(logFile, 'utf8').includes('Corral is ready')) {
    if (exited) throw new Error(`the launcher ended (${exited}):\n${tail(logFile)}`);
    if (Date.now() - startedAt > deadlineMs) {
      launcher.kill('SIGTERM');
      throw new Error(`no "Corral is ready" within ${deadlineMs} ms:\n${tail(logFile)}`);
    }
    await delay(50);
  }
  launcher.unref();
  const kubeconfig = readFileSync(path.join(home, 'kubeconfig'), 'utf8');
  const adminToken = /token:\s*"?([^"\s]+)/.exec(kubeconfig)?.[1];
  if (!adminToken || launcher.pid === undefined) throw new Error('the kubeconfig has no token');
  return { url: `http://127.0.0.1:${port}`, adminToken, home, port, launcherPid: launcher.pid, logFile, readyMs: Date.now() - startedAt };
}

/** Asks the launcher to stop, as Ctrl-C does, and waits until it is gone. */
export async function shutDown(pid: number, signal: NodeJS.Signals = 'SIGINT', deadlineMs = 60_000): Promise<void> {
  if (!isAlive(pid)) return;
  process.kill(pid, signal);
  const until = Date.now() + deadlineMs;
  while (isAlive(pid)) {
    if (Date.now() > until) throw new Error(`process ${pid} did not end within ${deadlineMs} ms`);
    await delay(50);
  }
}

/** Stops the shared stack and starts it again on the same home and port: what Ctrl-C and a second `npm start` do. */
export async function restartStack(): Promise<Stack> {
  const before = stack();
  await shutDown(before.launcherPid);
  return remember(await launch(before.home, before.port, 120_000));
}

export function remember(running: Stack): Stack {
  mkdirSync(path.dirname(STATE_FILE), { recursive: true });
  writeFileSync(STATE_FILE, JSON.stringify(running));
  return running;
}

export function forget(): void {
  rmSync(STATE_FILE, { force: true });
}

export const isRemembered = (): boolean => existsSync(STATE_FILE);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie still answers; it has ended all the same.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').split('\n').slice(-40).join('\n');
}
