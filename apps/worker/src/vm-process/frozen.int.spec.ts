import { jest } from '@jest/globals';
import { readdir, rm } from 'node:fs/promises';
import type { FrozenTaken } from '@corral/contracts';
import { HostMemory, MEMORY_MODES, openSnapshot, type MemoryMode } from '@corral/memory';
import { until } from '@corral/testing';
import { ForkedVm } from './forked-vm.testing.ts';
import { booted, type GuestConfig, linuxMachine } from './guest-config.testing.ts';

jest.setTimeout(300_000);
afterAll(() => ForkedVm.disposeAll());

const best = HostMemory.probe().capability.mode;
const possible = MEMORY_MODES.slice(MEMORY_MODES.indexOf(best));
const DRAWS = 20;
const DRAW = `head -c ${16 * DRAWS} /dev/urandom | hexdump -v -e '16/1 "%02x" "\\n"'`;
let config: GuestConfig;
let source: ForkedVm;

beforeAll(async () => {
  config = await linuxMachine();
  source = await booted(config);
  // Not where start-up may still mount something.
  await source.exec('dd if=/dev/urandom of=/root/noise bs=100k count=30; md5sum /root/noise > /root/sum; echo source > /root/who');
});

async function freeze(vm: ForkedVm, name: string): Promise<{ readonly directory: string; readonly frozen: FrozenTaken }> {
  const directory = await vm.emptyFolder(name);
  const reply = await vm.send({ type: 'Freeze', directory });
  if (!reply.ok || !reply.frozen) throw new Error(JSON.stringify(reply));
  return { directory, frozen: reply.frozen };
}

async function child(uid: string, directory: string, mode: MemoryMode = best): Promise<ForkedVm> {
  const vm = await ForkedVm.fork({ ...config, uid, hostname: uid }, mode);
  await vm.start({ type: 'Frozen', directory });
  await vm.until('AgentAnswered');
  return vm;
}

const is = (vm: ForkedVm, who: string): Promise<void> =>
  expect(vm.exec('md5sum -c /root/sum; cat /root/who')).resolves.toMatchObject({ stdout: `/root/noise: OK\n${who}\n` });

it('two machines go on from one moment of a third, each for itself, and the third runs on', async () => {
  const { directory, frozen } = await freeze(source, 'moment');
  expect(frozen.pages).toBeGreaterThan(3_000_000 / 4096);
  await source.exec('echo later > /root/who');
  const children = await Promise.all([child('left', directory), child('right', directory)]);
  const [left, right] = children;
  // Before anybody else asks: from the same state, the same would come.
  const drawn = await Promise.all(children.map((vm) => vm.exec(DRAW)));
  const numbers = drawn.flatMap(({ stdout }) => stdout.trim().split('\n'));
  expect([numbers.length, new Set(numbers).size]).toEqual([2 * DRAWS, 2 * DRAWS]);
  await is(left!, 'source');
  await left!.exec('echo left > /root/who');
  await is(right!, 'source');
  await is(left!, 'left');
  await is(source, 'later');
  // What they have not changed outlives whoever they had it from, and its files.
  expect(await source.send({ type: 'ReleaseFrozen', directory })).toMatchObject({ ok: true });
  await rm(directory, { recursive: true });
  await is(left!, 'left');
  // A snapshot of a machine that began so is whole, and so is what comes from it once more.
  const snapshot = await left!.emptyFolder('snapshot');
  expect(await left!.send({ type: 'Snapshot', directory: snapshot })).toMatchObject({ ok: true });
  const grandchild = await ForkedVm.fork({ ...config, uid: 'grandchild' });
  await grandchild.start({ type: 'Snapshot', directory: snapshot });
  await grandchild.until('AgentAnswered');
  await is(grandchild, 'left');
  const again = await freeze(right!, 'again');
  const second = await child('second', again.directory);
  await is(second, 'source');
  await Promise.all([...children, grandchild, second].map((vm) => vm.dispose()));
});

it.each(possible.filter((mode) => mode !== best).map((mode) => [mode]))('in mode %s as well', async (mode) => {
  const { directory } = await freeze(source, `for-${mode}`);
  const vm = await child(`child-${mode.toLowerCase()}`, directory, mode);
  await expect(vm.exec('md5sum -c /root/sum')).resolves.toMatchObject({ exitCode: 0 });
  const once = await freeze(vm, 'once-more');
  const grandchild = await child('grandchild', once.directory, mode);
  await expect(grandchild.exec('md5sum -c /root/sum')).resolves.toMatchObject({ exitCode: 0 });
  await Promise.all([vm.dispose(), grandchild.dispose()]);
});

it('what was released, and what was never whole because its process was killed, is refused', async () => {
  const refusalOf = async (directory: string): Promise<unknown> => {
    const vm = await ForkedVm.fork({ ...config, uid: 'refused' });
    const reply = await vm.send({ type: 'Start', config: vm.config, from: { type: 'Frozen', directory } });
    await vm.dispose();
    return reply;
  };
  const { directory } = await freeze(source, 'released');
  expect(await source.send({ type: 'ReleaseFrozen', directory })).toMatchObject({ ok: true });
  expect(await refusalOf(directory)).toMatchObject({ ok: false, reason: 'SnapshotUnreadable' });
  const victim = await child('victim', (await freeze(source, 'for-victim')).directory);
  const half = await source.emptyFolder('half');
  void victim.send({ type: 'Freeze', directory: half }).catch(() => undefined);
  process.kill(victim.pid, 'SIGKILL');
  await until(() => victim.told.some(({ type }) => type === 'Exited'), { timeoutMs: 20_000, what: 'the end of the process' });
  expect(await refusalOf(half)).toMatchObject({ ok: false, reason: 'SnapshotUnreadable' });
});

it('a process that is killed while it writes a snapshot leaves nothing that passes for one', async () => {
  const victim = await child('killed', (await freeze(source, 'for-killed')).directory);
  const half = await source.emptyFolder('half-snapshot');
  void victim.send({ type: 'Snapshot', directory: half }).catch(() => undefined);
  await until(async () => (await readdir(half)).length > 0, { timeoutMs: 30_000, everyMs: 1, what: 'the first file' });
  process.kill(victim.pid, 'SIGKILL');
  await victim.until('Exited');
  await expect(openSnapshot(half)).rejects.toMatchObject({ reason: 'SnapshotUnreadable' });
});
