import { spawn } from 'node:child_process';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { until } from '@corral/testing';
import { parse } from 'yaml';
import { call, deleteVm, runningVm, uniqueName, VMS } from './api.ts';
import { stack, TEST_HOME } from './stack.ts';

const CORRAL = join(import.meta.dirname, '../apps/cli/bin/corral.mjs');
const KUBECONFIG = join(TEST_HOME, 'kubeconfig');
const DEADLINE_MS = 120_000;

interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function start(program: string, args: readonly string[], stdin: string | Buffer = '', environment: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const child = spawn(program, args, { env: { ...process.env, KUBECONFIG, ...environment }, timeout: DEADLINE_MS });
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout.on('data', (chunk: Buffer) => chunks.stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.stderr.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ exitCode: code ?? -1, stdout: Buffer.concat(chunks.stdout).toString(), stderr: Buffer.concat(chunks.stderr).toString() }));
  });
}
const corral = (...args: string[]): Promise<Outcome> => start(process.execPath, [CORRAL, ...args]);

const eventually = (isTrue: () => Promise<boolean>): Promise<unknown> => until(isTrue, { timeoutMs: DEADLINE_MS, what: 'what the command was to bring about', everyMs: 500 });

let folder: string;
let vm: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'corral-cli-'));
  vm = await runningVm();
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await deleteVm(vm);
});

describe('corral exec', () => {
  it('keeps stdout and stderr apart and ends with the command’s exit code', async () => {
    expect(await corral('exec', vm, '--', 'sh', '-c', 'echo out; echo err >&2; exit 7')).toEqual({ exitCode: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  it('passes stdin through to its end, byte for byte', async () => {
    const bytes = randomBytes(300_000);
    const { stdout } = await start(process.execPath, [CORRAL, 'exec', vm, '-i', '--', 'sha256sum'], bytes);
    expect(stdout).toContain(createHash('sha256').update(bytes).digest('hex'));
  });

  it('gives the command a terminal when it has one itself', async () => {
    const { stdout } = await start('script', ['-qec', `'${process.execPath}' '${CORRAL}' exec ${vm} -it -- sh -c 'test -t 0 && echo a-terminal'`, '/dev/null']);
    expect(stdout).toContain('a-terminal');
  });

  it('sets variables and the folder', async () => {
    const { stdout } = await corral('exec', vm, '-e', 'COLOUR=blue', '--cwd', '/etc', '--', 'sh', '-c', 'echo $COLOUR in $(pwd)');
    expect(stdout).toBe('blue in /etc\n');
  });

  it('of a machine that is not there fails in the server’s words', async () => {
    const { exitCode, stdout, stderr } = await corral('exec', 'nobody', '--', 'ls');
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain('virtualmachines.corral.dev "nobody" not found');
  });
});

describe('corral run', () => {
  it('makes a machine, runs the command in it and deletes it again', async () => {
    const name = uniqueName('cli');
    const { exitCode, stdout } = await corral('run', 'linux-minimal', '--rm', '--name', name, '--', 'cat', '/etc/hostname');
    expect([exitCode, stdout.trim()]).toEqual([0, name]);
    const { status, body } = await call('GET', `${VMS}/${name}`);
    expect(status === 404 || body.metadata.deletionTimestamp !== undefined).toBe(true);
  });

  it('prints the machine in the form asked for, and nothing else on stdout', async () => {
    const name = uniqueName('cli');
    const { stdout } = await corral('run', 'linux-minimal', '--name', name, '-l', 'team=a', '-o', 'json');
    expect(JSON.parse(stdout)).toMatchObject({ metadata: { name, labels: { team: 'a' } }, status: { phase: 'Running' } });
    await deleteVm(name);
  });

  it('says what is wrong with a machine that cannot be', async () => {
    const { exitCode, stderr } = await corral('run', 'no-such-image');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('spec.source.image');
  });
});

describe('corral cp', () => {
  it('takes a file in and out again, with its mode', async () => {
    const [from, back] = [join(folder, 'tool'), join(folder, 'tool-back')];
    writeFileSync(from, randomBytes(1_000_000), { mode: 0o750 });
    expect(await corral('cp', from, `${vm}:/tmp/`)).toMatchObject({ exitCode: 0 });
    expect(await corral('cp', `${vm}:/tmp/tool`, back)).toMatchObject({ exitCode: 0 });
    expect(readFileSync(back).equals(readFileSync(from))).toBe(true);
    expect(statSync(back).mode & 0o777).toBe(0o750);
  });

  it('takes a folder in and out again', async () => {
    const from = join(folder, 'tree');
    mkdirSync(join(from, 'deep/er'), { recursive: true });
    writeFileSync(join(from, 'a'), 'one');
    writeFileSync(join(from, 'deep/er/b'), 'two');
    symlinkSync('a', join(from, 'link'));
    expect(await corral('cp', from, `${vm}:/root/tree`)).toMatchObject({ exitCode: 0 });
    expect(await corral('cp', `${vm}:/root/tree`, join(folder, 'tree-back'))).toMatchObject({ exitCode: 0 });
    expect(readFileSync(join(folder, 'tree-back/deep/er/b'), 'utf8')).toBe('two');
    expect(readFileSync(join(folder, 'tree-back/link'), 'utf8')).toBe('one');
  });

  it('leaves nothing behind of a copy that cannot be', async () => {
    const target = join(folder, 'never');
    expect((await corral('cp', `${vm}:/no/such/file`, target)).exitCode).toBe(1);
    expect(statSync(target, { throwIfNoEntry: false })).toBeUndefined();
  });
});

it('corral snapshot waits until the snapshot is verified; corral fork makes copies that go on from there', async () => {
  await corral('exec', vm, '--', 'sh', '-c', 'echo remembered > /tmp/mark');
  const taken = await corral('snapshot', vm, '--name', `${vm}-mark`, '-o', 'yaml');
  expect(parse(taken.stdout)).toMatchObject({ metadata: { name: `${vm}-mark` }, status: { conditions: [expect.objectContaining({ type: 'Ready', status: 'True' })] } });
  const [left, right] = [uniqueName('left'), uniqueName('right')];
  const forked = await corral('fork', vm, left, right, '-o', 'name');
  expect(forked).toMatchObject({ exitCode: 0, stdout: `virtualmachine.corral.dev/${left}\nvirtualmachine.corral.dev/${right}\n` });
  expect((await corral('exec', right, '--', 'cat', '/tmp/mark')).stdout).toBe('remembered\n');
  await Promise.all([deleteVm(left), deleteVm(right)]);
});

it('corral hibernate ends a machine’s process, and it goes on where it was: at corral wake, and at the next command', async () => {
  await corral('exec', vm, '--', 'sh', '-c', 'echo dreamt > /tmp/dream');
  expect(await corral('hibernate', vm)).toMatchObject({ exitCode: 0, stdout: `virtualmachine.corral.dev/${vm} hibernated\n` });
  expect((await call('GET', `${VMS}/${vm}`)).body).toMatchObject({ status: { phase: 'Hibernated' } });
  expect(await corral('wake', vm)).toMatchObject({ exitCode: 0, stdout: `virtualmachine.corral.dev/${vm} awake\n` });
  expect((await corral('exec', vm, '--', 'cat', '/tmp/dream')).stdout).toBe('dreamt\n');
  await corral('hibernate', vm, '-q');
  expect((await corral('exec', vm, '--', 'cat', '/tmp/dream')).stdout).toBe('dreamt\n');
  expect(await corral('hibernate', 'no-such-machine')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('not found') as string });
});

it('corral rollback takes a machine back, again and again, and keeps how it was where that is asked for', async () => {
  const [then, before] = [`${vm}-then`, uniqueName('before')];
  const write = (word: string): Promise<Outcome> => corral('exec', vm, '--', 'sh', '-c', `echo ${word} > /tmp/moment`);
  await write('then');
  await corral('snapshot', vm, '--name', then);
  await write('now');
  expect(await corral('rollback', vm, then)).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('--keep') as string });
  expect(await corral('rollback', vm, 'no-such-snapshot', '--discard')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('does not exist') as string });
  expect(await corral('rollback', vm, then, '--keep', before)).toMatchObject({ exitCode: 0, stdout: `virtualmachine.corral.dev/${vm} rolled back to ${then}\n` });
  expect((await corral('exec', vm, '--', 'cat', '/tmp/moment')).stdout).toBe('then\n');
  await write('elsewhere');
  expect(await corral('rollback', vm, then, '--discard')).toMatchObject({ exitCode: 0 });
  expect((await corral('exec', vm, '--', 'cat', '/tmp/moment')).stdout).toBe('then\n');
  expect(await corral('rollback', vm, before, '--discard')).toMatchObject({ exitCode: 0 });
  expect((await corral('exec', vm, '--', 'cat', '/tmp/moment')).stdout).toBe('now\n');
});

it('corral fork tells one by one what succeeded and what did not', async () => {
  const fresh = uniqueName('fresh');
  const { exitCode, stdout, stderr } = await corral('fork', vm, vm, fresh, '-o', 'name');
  expect([exitCode, stdout]).toEqual([1, `virtualmachine.corral.dev/${fresh}\n`]);
  expect(stderr).toContain(`virtualmachine.corral.dev/${vm}: virtualmachines.corral.dev "${vm}" already exists`);
  await deleteVm(fresh);
});

it('corral logs shows what was said on the serial console', async () => {
  await corral('exec', vm, '--', 'sh', '-c', 'echo heard-$((40+2)) > /dev/ttyS0');
  expect((await corral('logs', vm)).stdout).toContain('heard-42');
});

it('corral top and kubectl top show what machines and nodes use', async () => {
  await eventually(async () => (await corral('top', '-o', 'name')).stdout.includes(vm));
  expect((await corral('top')).stdout).toMatch(new RegExp(`${vm} +\\d+m +[\\d.]+Mi`));
  expect((await start('kubectl', ['top', 'pods', '--no-headers'])).stdout).toMatch(new RegExp(`${vm} +\\d+m +\\d+Mi`));
  expect((await start('kubectl', ['top', 'nodes', '--no-headers'])).stdout).toMatch(/worker-1 +\d+m +\d+% +\d+Mi +\d+%/);
});

it('corral console joins the serial line, and Ctrl-] leaves it', async () => {
  const { exitCode, stdout } = await start('script', ['-qec', `'${process.execPath}' '${CORRAL}' console ${vm}`, '/dev/null'], `echo typed-$((20+1))\n\x1d`);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('Leave with Ctrl-]');
});

it('completes names of machines, also behind kubectl', async () => {
  expect((await corral('complete', '--', 'exec', '')).stdout).toContain(vm);
  const script = await corral('complete', 'bash');
  expect(script.stdout).toContain('complete');
  expect((await corral('complete', '--', 'sn')).stdout).toContain('snapshot');
});

it('kubectl corral is the same program', async () => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  symlinkSync(CORRAL, join(bin, 'kubectl-corral'));
  const path = [bin, join(process.execPath, '..'), process.env['PATH']].join(delimiter);
  expect((await start('kubectl', ['corral', 'exec', vm, '--', 'echo', 'through kubectl'], '', { PATH: path })).stdout).toBe('through kubectl\n');
  expect((await start('kubectl', ['corral', '--help'], '', { PATH: path })).stdout).toContain('Usage: kubectl corral');
});

describe('corral login', () => {
  const { url, adminToken } = stack();
  const server = url.replace('http:', 'https:');

  it('trusts the server’s own certificate by its fingerprint, and every command works from then on', async () => {
    const file = join(folder, 'signed-in');
    const config = parse(readFileSync(KUBECONFIG, 'utf8')) as { clusters: [{ cluster: Record<string, string> }] };
    const pem = Buffer.from(config.clusters[0].cluster['certificate-authority-data'] ?? '', 'base64');
    const fingerprint = new X509Certificate(pem).fingerprint256;
    const signedIn = await start(process.execPath, [CORRAL, '--kubeconfig', file, 'login', server, '--token-stdin', '--fingerprint', fingerprint], adminToken);
    expect(signedIn).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('system:admin') as string });
    expect((await corral('--kubeconfig', file, 'exec', vm, '--', 'echo', 'in')).stdout).toBe('in\n');
  });

  it('refuses another fingerprint, and a token the server does not know; nothing is written', async () => {
    const file = join(folder, 'refused');
    const other = Array.from({ length: 32 }, () => '00').join(':');
    expect((await start(process.execPath, [CORRAL, '--kubeconfig', file, 'login', server, '--token-stdin', '--fingerprint', other], adminToken)).exitCode).toBe(2);
    const unknown = await start(process.execPath, [CORRAL, '--kubeconfig', file, 'login', url, '--token-stdin'], 'nonsense');
    expect(unknown).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('Unauthorized') as string });
    expect(statSync(file, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('sends no token unencrypted to another machine', async () => {
    const { exitCode, stderr } = await start(process.execPath, [CORRAL, 'login', 'http://corral.example.com', '--token-stdin'], 'secret');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('https://');
  });
});

it('a server that is not there is said so, in one line', async () => {
  const { exitCode, stderr } = await corral('--server', 'http://127.0.0.1:1', '--token', 'x', 'exec', vm, '--', 'ls');
  expect(exitCode).toBe(1);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain('could not be reached');
});
