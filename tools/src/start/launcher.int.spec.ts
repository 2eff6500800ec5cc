import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { HttpObjectClient } from '@corral/client';
import { findCondition, nodes, parseBytes, virtualMachines } from '@corral/contracts';
import { guestImages, until } from '@corral/testing';
import getPort from 'get-port';

const ROOT = resolve(import.meta.dirname, '../../..');
const LAUNCHER = [
  '--conditions=@corral/source',
  '--disable-warning=ExperimentalWarning',
  join(ROOT, 'tools/src/start/main.ts'),
];
const FIRST_START_MS = 240_000;

interface Launcher {
  readonly child: ChildProcess;
  output(): string;
}

function start(environment: NodeJS.ProcessEnv, ...options: string[]): Launcher {
  const child = spawn(process.execPath, [...LAUNCHER, ...options], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return { child, output: () => output };
}

async function refused(environment: NodeJS.ProcessEnv): Promise<string> {
  const { child, output } = start(environment);
  const [exitCode] = (await once(child, 'close')) as [number];
  expect(exitCode).toBe(1);
  return output();
}

/** Every process that was started for this home: it is in the environment of ours and in the arguments of PostgreSQL. */
function processesOf(home: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => ['environ', 'cmdline'].some((file) => readIfThere(`/proc/${pid}/${file}`).includes(home)))
    .map(Number);
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

describe('npm start', () => {
  let home: string;
  let environment: NodeJS.ProcessEnv;
  let launcher: Launcher | undefined;
  const ready = async (running: Launcher, timeoutMs: number): Promise<void> => {
    await until(() => running.output().includes('Corral is ready') || running.child.exitCode !== null, {
      timeoutMs,
      what: 'Corral is ready',
    });
    expect(running.output()).toContain('Corral is ready');
  };

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'corral-launcher-'));
    // Built once for all tests; a first start would build it here.
    symlinkSync(join((await guestImages()).home, 'images'), join(home, 'images'));
    environment = { CORRAL_HOME: home, CORRAL_PORT: String(await getPort()) };
  }, FIRST_START_MS);
  afterAll(async () => {
    if (launcher?.child.exitCode === null && launcher.child.signalCode === null) {
      launcher.child.kill('SIGKILL');
      await until(() => processesOf(home).length === 0, { timeoutMs: 20_000, what: 'everything is gone' });
    }
    rmSync(home, { recursive: true, force: true });
  });

  it(
    'ends with a Corral that makes a machine from the line it prints',
    async () => {
      launcher = start(environment);
      await ready(launcher, FIRST_START_MS);
      expect(launcher.output()).toMatch(/http:\/\/127\.0\.0\.1:\d+\/sign-in\?code=/);
      const line = /^Create +(curl .*)$/m.exec(launcher.output())?.[1] ?? '';
      const { stdout } = await promisify(execFile)('sh', ['-c', line]);
      expect(JSON.parse(stdout)).toMatchObject({
        kind: 'VirtualMachine',
        metadata: { name: 'demo', namespace: 'default' },
      });
    },
    FIRST_START_MS,
  );

  it('keeps its secrets to their owner', () => {
    for (const file of ['secrets.json', 'kubeconfig', 'admin-token'])
      expect(statSync(join(home, file)).mode & 0o777).toBe(0o600);
    expect(launcher?.output()).not.toContain(readFileSync(join(home, 'admin-token'), 'utf8'));
  });

  it('is one launcher per home', async () => {
    expect(await refused({ ...environment, CORRAL_PORT: String(await getPort()) })).toContain('Corral already runs on');
  });

  it('starts what was killed again', async () => {
    const [worker] = processesOf(home).filter((pid) =>
      readIfThere(`/proc/${pid}/cmdline`).includes('apps/worker/dist/main.js'),
    );
    process.kill(worker ?? 0, 'SIGKILL');
    await until(() => launcher?.output().includes('Worker worker-1 ended (SIGKILL)') === true, {
      timeoutMs: 10_000,
      what: 'its end is told',
    });
    await until(
      () =>
        processesOf(home).some(
          (pid) => pid !== worker && readIfThere(`/proc/${pid}/cmdline`).includes('apps/worker/dist/main.js'),
        ),
      { timeoutMs: 30_000, what: 'another worker' },
    );
  }, 60_000);

  it('leaves no process behind on kill -9', async () => {
    expect(processesOf(home).length).toBeGreaterThan(5);
    launcher?.child.kill('SIGKILL');
    await until(() => processesOf(home).length === 0, { timeoutMs: 20_000, what: 'everything is gone' });
  }, 60_000);

  it('comes back after kill -9 with its objects, with as many workers as it is asked for, and stops everything at Ctrl-C', async () => {
    launcher = start(environment, '--workers', '3');
    await ready(launcher, 120_000);
    const client = new HttpObjectClient({ baseUrl: `http://127.0.0.1:${environment['CORRAL_PORT']}`, token: readFileSync(join(home, 'admin-token'), 'utf8') });
    expect(await client.get(virtualMachines, 'default', 'demo')).toBeDefined();
    const { items } = await client.list(nodes);
    expect(items.map(({ metadata, status }) => [metadata.name, findCondition(status?.conditions, 'Ready')?.status])).toEqual([
      ['worker-1', 'True'],
      ['worker-2', 'True'],
      ['worker-3', 'True'],
    ]);
    // They share one machine: together they promise no more memory than it has.
    const memory = items.map(({ status }) => parseBytes(status?.capacity?.['memory'] ?? '') ?? Number.NaN);
    expect(memory.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(totalmem());

    launcher.child.kill('SIGINT');
    const [exitCode] = (await once(launcher.child, 'close')) as [number];
    expect(exitCode).toBe(0);
    for (const worker of ['worker-1', 'worker-2', 'worker-3'])
      expect(launcher.output()).toMatch(new RegExp(`Worker ${worker} +stopped[\\s\\S]*API +stopped[\\s\\S]*PostgreSQL +stopped`));
    expect(processesOf(home)).toEqual([]);
  }, 240_000);
});

describe('npm start, where something is wrong', () => {
  let home: string;
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'corral-refused-'));
    mkdirSync(home, { recursive: true });
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it.each([
    [{ CORRAL_PORT: 'http' }, 'CORRAL_PORT: '],
    [{ CORRAL_PORT: '0x' }, 'CORRAL_PORT: must be a port number, from 1 to 65535'],
    [{ CORRAL_PORT: '65536' }, 'CORRAL_PORT: must be a port number, from 1 to 65535'],
    [{ DATABASE_URL: 'postgres://' }, 'DATABASE_URL: must be a postgresql:// URL that names a host'],
    [{ REDIS_URL: 'redis://' }, 'REDIS_URL: must be a redis:// or rediss:// URL that names a host'],
    [{ CORRAL_HOME: '/etc/passwd' }, 'CORRAL_HOME: /etc/passwd cannot be used (ENOTDIR)'],
    [{ CORRAL_HOME: '/etc/passwd/home' }, 'CORRAL_HOME: /etc/passwd/home cannot be used (ENOTDIR)'],
    [{ CORRAL_HOME: '/proc/corral/home' }, 'CORRAL_HOME: /proc/corral/home cannot be used (ENOENT)'],
    [{ CORRAL_HOST: 'not an address' }, 'CORRAL_HOST: '],
    [{ DATABASE_URL: 'mysql://db' }, 'DATABASE_URL: must be a postgresql:// URL'],
    [
      { DATABASE_URL: 'postgresql://u:secret@127.0.0.1:1/db' },
      'DATABASE_URL: PostgreSQL at 127.0.0.1:1 cannot be reached',
    ],
    [{ REDIS_URL: 'redis://127.0.0.1:1' }, 'REDIS_URL: Redis at 127.0.0.1:1'],
    [{ S3_ENDPOINT: 'http://127.0.0.1:1' }, 'S3_ACCESS_KEY_ID: must be set'],
    [
      { S3_ENDPOINT: 'http://127.0.0.1:1', S3_ACCESS_KEY_ID: 'a', S3_SECRET_ACCESS_KEY: 'b' },
      'S3_ENDPOINT: the object store at 127.0.0.1:1',
    ],
  ])('says so in one line: %j', async (change, expected) => {
    const output = await refused({ CORRAL_HOME: home, CORRAL_PORT: String(await getPort()), ...change });
    expect(output.trim().split('\n')).toHaveLength(1);
    expect(output).toContain(expected);
    expect(output).not.toContain('secret');
  });

  it('takes a variable that is empty for one that is not set', async () => {
    const empty = { CORRAL_HOST: '', S3_REGION: '', S3_BUCKET: '', DATABASE_URL: '', REDIS_URL: 'redis://127.0.0.1:1' };
    expect(await refused({ CORRAL_HOME: home, CORRAL_PORT: String(await getPort()), ...empty })).toContain(
      'REDIS_URL: Redis at 127.0.0.1:1',
    );
  });

  describe('on a bare Debian', () => {
    let programs: string;
    const environment = async () => ({
      CORRAL_HOME: home,
      CORRAL_PORT: String(await getPort()),
      PATH: programs,
      REDIS_URL: 'redis://127.0.0.1:1',
    });
    beforeEach(() => {
      programs = mkdtempSync(join(tmpdir(), 'corral-programs-'));
      for (const [name, path] of Object.entries({ sh: '/bin/sh', setpriv: '/usr/bin/setpriv' }))
        symlinkSync(path, join(programs, name));
    });
    afterEach(() => rmSync(programs, { recursive: true, force: true }));

    it('says which line installs what is missing', async () => {
      const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
      expect(await refused(await environment())).toContain(
        `Programs are missing. Install them with: ${sudo}apt-get install -y xz-utils`,
      );
    });

    // Only root may install, and the machine's own apt-get is not ours to run in a test.
    (process.getuid?.() === 0 ? it : it.skip)(
      'installs it as root, after fetching the lists, and goes on',
      async () => {
        const lists = join(programs, 'lists');
        const aptGet = `#!/bin/sh
case "$*" in
  "-q update") : > ${lists} ;;
  "-q install -y --no-install-recommends xz-utils")
    [ -e ${lists} ] || exit 100
    echo '#!/bin/sh' > ${join(programs, 'xz')} && /bin/chmod +x ${join(programs, 'xz')} ;;
esac`;
        writeFileSync(join(programs, 'apt-get'), aptGet, { mode: 0o755 });
        const output = await refused(await environment());
        expect(output).toContain('Installing xz-utils, which this machine lacks, with apt-get');
        expect(output).toContain('REDIS_URL: Redis at 127.0.0.1:1');
      },
    );
  });

  it('says which port is taken', async () => {
    const port = await getPort();
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    expect(await refused({ CORRAL_HOME: home, CORRAL_PORT: String(port) })).toContain(
      `port ${port} on 127.0.0.1 is in use`,
    );
    server.close();
  });
});
