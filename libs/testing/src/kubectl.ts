import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';

const PACKAGE = 'kubernetes-client';
const DOWNLOAD_TIMEOUT_MS = 120_000;
const COMMAND_TIMEOUT_MS = 60_000;

export interface KubectlTarget {
  /** HTTPS: kubectl sends a token over TLS only. */
  readonly server: string;
  /** PEM of the certificate that verifies the server. */
  readonly certificate: string;
  readonly token: string;
  readonly namespace: string;
}

export interface KubectlResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The real kubectl, with a home and a kubeconfig of its own. */
export class Kubectl {
  readonly #program: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(program: string, home: string, target: KubectlTarget) {
    this.#program = program;
    const kubeconfig = join(home, 'kubeconfig');
    mkdirSync(home, { recursive: true });
    writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(target)), { mode: 0o600 });
    // It is over before a garbage collection pays, and tests call it hundreds of times.
    this.#env = { PATH: process.env['PATH'] ?? '', HOME: home, TMPDIR: home, KUBECONFIG: kubeconfig, GOGC: 'off' };
  }

  /** Runs to the end, whatever its exit code. */
  run(args: readonly string[], stdin = '', env: Readonly<Record<string, string>> = {}): Promise<KubectlResult> {
    return new Promise((resolve, reject) => {
      const child = execFile(this.#program, args, { env: { ...this.#env, ...env }, timeout: COMMAND_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
        if (error && typeof error.code !== 'number') reject(new Error(`kubectl ${args.join(' ')} did not end by itself: ${stderr}`, { cause: error }));
        else resolve({ exitCode: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      });
      child.stdin?.end(stdin);
    });
  }

  /** Runs and expects success; answers what it printed. */
  async ok(args: readonly string[], stdin = '', env: Readonly<Record<string, string>> = {}): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(args, stdin, env);
    if (exitCode !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${exitCode}: ${stderr}${stdout}`);
    return stdout;
  }

  /** A command that goes on, such as `get -w`. Kill it. */
  start(args: readonly string[]): ChildProcessByStdio<null, Readable, Readable> {
    return spawn(this.#program, args, { env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] });
  }
}

/** Where machines with several kubectl keep them, each named by its version. */
const VERSIONED = ['/usr/lib/google-cloud-sdk/bin/kubectl.'];

/** The kubectl of one version (`1.33`), where the machine has it: beside others of its kind, or on the PATH as `kubectl1.33`. */
export function kubectlOfVersion(version: string): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).flatMap((folder) => [join(folder, `kubectl.${version}`), join(folder, `kubectl${version}`), join(folder, `kubectl-${version}`)]);
  return [...VERSIONED.map((prefix) => `${prefix}${version}`), ...onPath].find((file) => existsSync(file));
}

/** The machine's own kubectl, where it has one: likely newer than Debian's. */
export function kubectlOnPath(): string | undefined {
  return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'kubectl')).find((file) => existsSync(file));
}

/** Whether this kubectl, as of Google's SDK, only asks the server for its version at every call, and runs the one of the versions beside it that fits. */
export function picksKubectl(program: string): boolean {
  return readdirSync(dirname(realpathSync(program))).some((file) => /^kubectl\.1\.\d+$/.test(file));
}

/**
 * Debian's kubectl, downloaded once into `cache` through the machine's own apt and unpacked there (no root, nothing
 * installed). Throws with what to do when it cannot be had: tests must not pass by not running.
 */
export async function obtainKubectl(cache: string): Promise<string> {
  const unpacked = join(cache, 'kubectl');
  const program = join(unpacked, 'usr', 'bin', 'kubectl');
  if (existsSync(program)) return program;

  const work = join(cache, `kubectl.${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    await execute('apt-get', [...(await privateLists(work)), 'download', PACKAGE], work);
    const archive = readdirSync(work).find((file) => file.endsWith('.deb'));
    if (!archive) throw new Error('apt-get download left no package');
    await execute('dpkg-deb', ['-x', join(work, archive), join(work, 'root')], work);
    if (!existsSync(program)) renameSync(join(work, 'root'), unpacked);
    return program;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`These tests drive a real kubectl: let apt reach the package "${PACKAGE}". ${why}`, { cause });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Package lists of our own: the machine's may be missing, and are not ours to write. */
async function privateLists(work: string): Promise<string[]> {
  const state = join(work, 'apt');
  for (const folder of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(state, folder), { recursive: true });
  const options = [`Dir::State::Lists=${join(state, 'lists')}`, `Dir::Cache=${join(state, 'cache')}`, 'APT::Sandbox::User=', 'Debug::NoLocking=1'].flatMap((option) => ['-o', option]);
  await execute('apt-get', [...options, '-qq', 'update'], work);
  return options;
}

function execute(program: string, args: readonly string[], cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd, timeout: DOWNLOAD_TIMEOUT_MS }, (error, _stdout, stderr) => {
      if (error) reject(new Error(`${program} failed: ${stderr.trim() || error.message}`));
      else resolve();
    });
  });
}

function kubeconfigOf({ server, certificate, token, namespace }: KubectlTarget): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'corral', cluster: { server, 'certificate-authority-data': Buffer.from(certificate).toString('base64') } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'corral', context: { cluster: 'corral', user: 'test', namespace } }],
    'current-context': 'corral',
  };
}
