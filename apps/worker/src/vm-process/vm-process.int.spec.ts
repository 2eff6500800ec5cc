import { jest } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeManifest, MANIFEST_FILE } from '@corral/memory';
import { PNG } from 'pngjs';
import { eventually, ForkedVm } from './forked-vm.testing.ts';
import { booted, type GuestConfig, linuxMachine } from './guest-config.testing.ts';

/** Real processes, a real emulator, a real guest: slow to boot, so most tests share one machine. */
jest.setTimeout(240_000);
afterAll(() => ForkedVm.disposeAll());

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');
const V5 = ['v5.channel.k8s.io'];
const message = (channel: number, text: string): Buffer => Buffer.concat([Uint8Array.of(channel), Buffer.from(text)]);

const demo = (): Promise<GuestConfig> => linuxMachine({ uid: 'demo', hostname: 'demo' });

let vmThatBooted: ForkedVm;
let golden: string;
beforeAll(async () => {
  vmThatBooted = await booted(await demo());
  golden = await mkdtemp(join(tmpdir(), 'corral-golden-'));
  expect(await vmThatBooted.send({ type: 'Snapshot', directory: golden })).toMatchObject({ ok: true });
});
afterAll(() => rm(golden, { recursive: true, force: true }));

/** A machine that is up at once: booting each time would take most of these tests' time. */
async function restoredVm(): Promise<ForkedVm> {
  const vm = await ForkedVm.fork(await demo());
  await vm.start({ type: 'Snapshot', directory: golden });
  await vm.until('AgentAnswered');
  return vm;
}

/** Of all the guest's memory, as a snapshot has it: the same twice only where the guest did nothing in between. */
async function memoryDigest(vm: ForkedVm, name: string): Promise<string> {
  const directory = await vm.emptyFolder(name);
  const reply = await vm.send({ type: 'Snapshot', directory });
  if (!reply.ok) throw new Error(JSON.stringify(reply));
  // Where nothing was written to, nothing lies on the layers before.
  const { memory } = decodeManifest(await readFile(join(directory, MANIFEST_FILE)));
  return memory.layers.map(({ sha256 }) => sha256).join();
}

describe('a running machine', () => {
  let vm: ForkedVm;
  beforeAll(() => void (vm = vmThatBooted));
  afterAll(() => vm.dispose());

  it('is a Linux that knows its name, its address and the time', async () => {
    const { stdout } = await vm.exec('uname -s; hostname; cat /sys/class/net/eth0/address; date +%s; pwd');
    const [kernel, hostname, address, seconds, directory] = stdout.split('\n');
    expect([kernel, hostname, address, directory]).toEqual(['Linux', 'demo', '02:00:00:00:00:01', '/root']);
    expect(Math.abs(Number(seconds) - Date.now() / 1000)).toBeLessThan(5);
  });

  it('runs commands with input, environment and folder, and tells both outputs and the exit code', async () => {
    const result = await vm.exec('cat; echo "$WORD in $PWD" >&2; exit 7', { stdin: 'typed', env: { WORD: 'hay' }, cwd: '/tmp' });
    expect(result).toMatchObject({ exitCode: 7, stdout: 'typed', stderr: 'hay in /tmp\n', timedOut: false, stdoutTruncated: false });
  });

  it('says of a command it cannot run what a shell says', async () => {
    await expect(vm.exec(['no-such-program'])).resolves.toMatchObject({ exitCode: 127, stderr: 'no-such-program: No such file or directory\n' });
    await expect(vm.exec(['/etc/passwd'])).resolves.toMatchObject({ exitCode: 126 });
    const { status, body } = await vm.http('POST', '/exec', JSON.stringify({ command: ['ls'], cwd: '/no-such-folder' }));
    expect([status, JSON.parse(body.toString()).reason]).toEqual([422, 'GuestCommandRefused']);
  });

  it('kills a command and its children at the timeout, and keeps what it printed', async () => {
    const result = await vm.exec('echo begun; sleep 987 & wait', { timeoutSeconds: 0.5 });
    expect(result).toMatchObject({ timedOut: true, stdout: 'begun\n', exitCode: 137 });
    await expect(vm.exec('ps | grep "[s]leep 987"')).resolves.toMatchObject({ exitCode: 1 });
  });

  it('lets a command finish that prints more than is kept', async () => {
    const result = await vm.exec('dd if=/dev/zero bs=100k count=30 2> /dev/null | tr "\\0" x; echo finished >&2');
    expect(result).toMatchObject({ exitCode: 0, stderr: 'finished\n', stdoutTruncated: true, stderrTruncated: false });
    expect(result.stdout).toHaveLength(1024 * 1024);
  });

  it('kills a command whose caller went away', async () => {
    const aborted = AbortSignal.timeout(500);
    const sent = request({ socketPath: vm.config.socketPath, method: 'POST', path: '/exec', signal: aborted });
    sent.on('error', () => undefined);
    sent.end(JSON.stringify({ command: ['sleep', '654'] }));
    await eventually('the command runs', async () => (await vm.exec('ps | grep "[s]leep 654"')).exitCode === 0 || aborted.aborted);
    await eventually('the command is gone', async () => aborted.aborted && (await vm.exec('ps | grep "[s]leep 654"')).exitCode === 1);
  });

  it('carries 20 MB into a file and out again, bit for bit', async () => {
    const bytes = randomBytes(20 * 1024 * 1024);
    const put = await vm.http('PUT', '/files?path=/tmp/big&mode=0600', bytes);
    expect(JSON.parse(put.body.toString())).toMatchObject({ path: '/tmp/big', type: 'File', sizeBytes: bytes.length, mode: '0600' });
    expect((await vm.exec('sha256sum < /tmp/big')).stdout.slice(0, 64)).toBe(sha256(bytes));
    const got = await vm.http('GET', '/files?path=/tmp/big');
    expect(got.headers['content-length']).toBe(String(bytes.length));
    expect(sha256(got.body)).toBe(sha256(bytes));
    expect((await vm.http('DELETE', '/files?path=/tmp/big')).status).toBe(200);
  });

  it('lists and describes files, and reads those that do not say their size', async () => {
    await vm.exec('mkdir /tmp/folder && cd /tmp/folder && echo one > file && ln -s file link && mkdir inner');
    const { entries } = JSON.parse((await vm.http('GET', '/files?path=/tmp/folder&list=true')).body.toString());
    expect(entries.map(({ name, type }: { name: string; type: string }) => [name, type])).toEqual([['file', 'File'], ['inner', 'Directory'], ['link', 'SymbolicLink']]);
    const stat = JSON.parse((await vm.http('GET', '/files?path=/tmp/folder/file&stat=true')).body.toString());
    expect(stat).toMatchObject({ name: 'file', sizeBytes: 4, mode: '0644' });
    expect((await vm.http('GET', '/files?path=/proc/cpuinfo')).body.toString()).toContain('processor');
  });

  it.each([
    ['GET', '/files?path=/no-such-file', 404, 'GuestFileNotFound'],
    ['GET', '/files?path=/tmp', 409, 'GuestFileRefused'],
    ['PUT', '/files?path=/tmp', 409, 'GuestFileRefused'],
    ['PUT', '/files?path=/no/such/folder', 404, 'GuestFileNotFound'],
    ['DELETE', '/files?path=/etc', 409, 'GuestFileRefused'],
    ['GET', '/files?path=relative', 400, 'BadRequest'],
    ['PUT', '/files?path=/tmp/x&mode=rw', 400, 'BadRequest'],
  ])('answers %s %s with %i %s', async (method, path, status, reason) => {
    const answer = await vm.http(method, path, method === 'PUT' ? 'content' : undefined);
    expect([answer.status, JSON.parse(answer.body.toString()).reason]).toEqual([status, reason]);
  });

  it.each(['/dev/zero', '/tmp/fifo'])('says that %s is not a regular file', async (path) => {
    await vm.exec('test -p /tmp/fifo || mkfifo /tmp/fifo');
    const { status, body } = await vm.http('GET', `/files?path=${path}`);
    expect([status, JSON.parse(body.toString()).message]).toEqual([409, `${path} is not a regular file`]);
  });

  it('says that the guest’s file system is full', async () => {
    await vm.exec('mkdir /tmp/small && mount -t tmpfs -o size=64k small /tmp/small');
    const { status, body } = await vm.http('PUT', '/files?path=/tmp/small/file', Buffer.alloc(1024 * 1024));
    expect(status).toBe(409);
    expect(JSON.parse(body.toString()).message).toContain('ENOSPC');
  });

  it('speaks Kubernetes’s exec protocol: streams, end of input, exit code', async () => {
    const command = encodeURIComponent('cat; echo problem >&2; exit 7');
    const socket = await vm.socket(`/exec?command=sh&command=-c&command=${command}&stdin=true&stdout=true&stderr=true`, V5);
    socket.send(message(0, 'typed'));
    socket.send(Uint8Array.of(255, 0));
    expect(await socket.closed).toBe(1000);
    expect(socket.protocol).toBe('v5.channel.k8s.io');
    expect([socket.channel(1), socket.channel(2)]).toEqual(['typed', 'problem\n']);
    expect(JSON.parse(socket.channel(3))).toMatchObject({ reason: 'NonZeroExitCode', details: { causes: [{ reason: 'ExitCode', message: '7' }] } });
  });

  it.each([
    ['', 'out\n', 'err\n'],
    ['&stdout=true', 'out\n', ''],
    ['&stderr=true', '', 'err\n'],
    ['&stdout=true&stderr=true', 'out\n', 'err\n'],
    ['&stdin=true', '', ''],
  ])('sends the streams that were asked for: “%s”', async (flags, stdout, stderr) => {
    const socket = await vm.socket(`/exec?command=sh&command=-c&command=${encodeURIComponent('echo out; echo err >&2')}${flags}`, V5);
    expect(await socket.closed).toBe(1000);
    expect([socket.channel(1), socket.channel(2)]).toEqual([stdout, stderr]);
    expect(JSON.parse(socket.channel(3))).toMatchObject({ status: 'Success' });
  });

  it('gives a terminal of the size that was asked for', async () => {
    const socket = await vm.socket('/exec?command=sh&stdin=true&stdout=true&tty=true', V5);
    socket.send(message(4, '{"Width":123,"Height":45}'));
    socket.send(message(0, 'stty size; exit 0\n'));
    expect(await socket.closed).toBe(1000);
    expect(socket.channel(1)).toContain('45 123');
    expect(JSON.parse(socket.channel(3))).toMatchObject({ status: 'Success' });
  });

  it('kills the command of a socket that goes away', async () => {
    const socket = await vm.socket('/exec?command=sleep&command=321&stdout=true', V5);
    await eventually('the command runs', async () => (await vm.exec('ps | grep "[s]leep 321"')).exitCode === 0);
    socket.terminate();
    await eventually('the command is gone', async () => (await vm.exec('ps | grep "[s]leep 321"')).exitCode === 1);
  });

  it('serves other requests beside a flood that nobody reads, and the flood takes no memory', async () => {
    const flood = await vm.socket('/exec?command=cat&command=/dev/zero&stdout=true', V5);
    await eventually('the flood began', () => flood.received.length > 0);
    const text = randomBytes(500_000).toString('hex');
    const { stdout } = await vm.exec(['sha256sum'], { stdin: text });
    expect(stdout.slice(0, 64)).toBe(sha256(text));
    flood.terminate();
    await eventually('the flood ended', async () => (await vm.exec('ps | grep "[c]at /dev/zero"')).exitCode === 1);
  });

  it('survives garbage on the agent’s channel', async () => {
    // Frames that look right and are not, half frames, and noise, straight into the port from inside the guest.
    await vm.exec('port=$(ls /dev/vport*p1 /dev/virtio-ports/* 2>/dev/null | head -1); dd if=/dev/urandom of="$port" bs=100k count=3; printf "GA1\\032\\204" > "$port"; true');
    const result = await vm.exec('echo still here');
    expect(result.stdout).toBe('still here\n');
  });

  it('shows the serial line from a while ago, and types into it', async () => {
    const socket = await vm.socket('/serial?replay=65536');
    await eventually('the scrollback came', () => socket.text().length > 0);
    socket.send(Buffer.from('echo serial-$((6*7))\n'));
    await eventually('the shell answered', () => socket.text().includes('serial-42'));
    const late = await vm.socket('/serial?replay=65536');
    await eventually('a late viewer sees it too', () => late.text().includes('serial-42'));
    expect((await vm.http('GET', '/serial')).body.toString()).toContain('serial-42');
    const fresh = await vm.socket('/serial');
    expect(fresh.text()).toBe('');
    for (const each of [socket, late, fresh]) each.terminate();
  });

  it('types on the keyboard and shows the screen, as text and as a picture', async () => {
    const typed = await vm.http('POST', '/input', JSON.stringify({ type: 'text', text: 'echo "Screen_$((40+2))" > /tmp/typed\n' }));
    expect(typed.status).toBe(200);
    await eventually('the shell on the screen ran it', async () => (await vm.exec('cat /tmp/typed')).stdout === 'Screen_42\n');
    const text = await vm.http('GET', '/screenshot?format=text');
    expect(text.body.toString()).toContain('echo "Screen_$((40+2))" > /tmp/typed');
    const picture = await vm.http('GET', '/screenshot');
    const png = PNG.sync.read(picture.body);
    expect([png.width, png.height]).toEqual([720, 400]);
    const colours = new Set(new Uint32Array(png.data.buffer, png.data.byteOffset, png.data.length / 4));
    expect(colours.size).toBeGreaterThan(1);
  });

  it.each([
    [{ type: 'text', text: 'é' }, 422],
    [{ type: 'keys', codes: ['NoSuchKey'] }, 422],
    [{ type: 'keys', codes: ['ControlLeft', 'KeyC'] }, 200],
    [{ type: 'mouse', x: 10, y: 10, action: 'click' }, 200],
    [{ type: 'mouse', x: 10 }, 422],
    [{ type: 'joystick' }, 422],
  ])('answers input %j with %i', async (input, status) => {
    expect((await vm.http('POST', '/input', JSON.stringify(input))).status).toBe(status);
  });

  it('stands still while it is paused, and has the right time afterwards', async () => {
    await vm.exec('(while :; do date > /tmp/tick; done) > /dev/null 2>&1 & echo $! > /tmp/ticker');
    const running = await memoryDigest(vm, 'running');
    expect(await memoryDigest(vm, 'running-later')).not.toBe(running);
    expect(await vm.send({ type: 'Pause' })).toMatchObject({ ok: true });
    const refused = await vm.http('POST', '/exec', JSON.stringify({ command: ['true'] }));
    expect([refused.status, JSON.parse(refused.body.toString()).reason]).toEqual([409, 'VirtualMachineNotRunning']);
    const still = await memoryDigest(vm, 'still');
    expect(await memoryDigest(vm, 'still-later')).toBe(still);
    expect(await vm.send({ type: 'Resume' })).toMatchObject({ ok: true });
    const seconds = async (): Promise<number> => Number((await vm.exec('date +%s')).stdout);
    await eventually('its clock is right', async () => Math.abs((await seconds()) - Date.now() / 1000) < 2);
    await vm.exec('kill $(cat /tmp/ticker)');
  });
});

describe('the end of a machine', () => {
  it('is orderly when it is stopped with grace', async () => {
    const vm = await restoredVm();
    expect(await vm.send({ type: 'Stop', graceMs: 30_000 })).toMatchObject({ ok: true });
    expect(await vm.until('Exited')).toMatchObject({ code: 0 });
    await vm.dispose();
  });

  it('is told when the guest switches itself off', async () => {
    const vm = await restoredVm();
    void vm.exec('poweroff').catch(() => undefined);
    expect(await vm.until('Ended')).toMatchObject({ reason: 'GuestPoweredOff' });
    expect(await vm.until('Exited')).toMatchObject({ code: 0 });
    await vm.dispose();
  });

  it('is a panic when the kernel panics; its screen is kept', async () => {
    const vm = await restoredVm();
    void vm.exec('echo c > /proc/sysrq-trigger').catch(() => undefined);
    expect((await vm.until('GuestPanicked')).message).toContain('sysrq triggered crash');
    const { status, body } = await vm.http('POST', '/exec', JSON.stringify({ command: ['true'] }));
    expect([status, JSON.parse(body.toString()).reason]).toEqual([409, 'GuestAgentUnavailable']);
    expect((await vm.http('GET', '/screenshot')).status).toBe(200);
    expect(await vm.send({ type: 'Stop', graceMs: 10_000 })).toMatchObject({ ok: true });
    await vm.dispose();
  });

  it('is no panic when somebody prints an old one', async () => {
    const vm = await restoredVm();
    await vm.exec('echo "Kernel panic - not syncing: an old log" > /dev/ttyS0');
    await expect(vm.exec('sleep 3; echo alive')).resolves.toMatchObject({ stdout: 'alive\n' });
    expect(vm.told.map(({ type }) => type)).not.toContain('GuestPanicked');
    await vm.dispose();
  });

  it('is none when the guest restarts: the same process boots it again', async () => {
    const vm = await restoredVm();
    const before = vm.told.length;
    void vm.exec('reboot').catch(() => undefined);
    await vm.until('GuestRebooted', before);
    await vm.until('AgentAnswered', before);
    await expect(vm.exec('cut -d. -f1 /proc/uptime')).resolves.toMatchObject({ exitCode: 0 });
    await vm.dispose();
  });

  it('comes with the node agent’s', async () => {
    const vm = await restoredVm();
    await vm.dispose();
    expect(() => process.kill(vm.pid, 0)).toThrow();
  });
});

describe('a machine that cannot start', () => {
  it('says how much memory its image needs', async () => {
    const vm = await ForkedVm.fork({ ...(await demo()), memoryMiB: 64 });
    expect(await vm.send({ type: 'Start', config: vm.config, from: { type: 'Boot' } })).toMatchObject({ ok: false, reason: 'ImageUnbootable' });
    await vm.dispose();
  });

  it.each(['kernel', 'multiboot'])('says that a file is no %s', async (role) => {
    const config = await demo();
    const vm = await ForkedVm.fork({ ...config, artifacts: { [role]: config.firmware.biosPath } });
    expect(await vm.send({ type: 'Start', config: vm.config, from: { type: 'Boot' } })).toMatchObject({ ok: false, reason: 'ImageUnbootable' });
    await vm.dispose();
  });

  it('answers 409 to commands before its guest agent is there, and shows its screen meanwhile', async () => {
    const vm = await ForkedVm.fork(await demo());
    await vm.start({ type: 'Boot' });
    const { status, body } = await vm.http('POST', '/exec', JSON.stringify({ command: ['true'] }));
    expect([status, JSON.parse(body.toString()).reason]).toEqual([409, 'GuestAgentUnavailable']);
    await eventually('the BIOS shows itself', async () => (await vm.http('GET', '/screenshot?format=text')).body.toString().includes('SeaBIOS'));
    await vm.dispose();
  });

  it('refuses to be told anything before Start', async () => {
    const vm = await ForkedVm.fork(await demo());
    expect(await vm.send({ type: 'Pause' })).toMatchObject({ ok: false, reason: 'NotStarted' });
    await vm.dispose();
  });
});
