import { jest } from '@jest/globals';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, ForkedVm } from './forked-vm.testing.ts';
import { booted, linuxMachine } from './guest-config.testing.ts';

jest.setTimeout(600_000);
afterAll(() => ForkedVm.disposeAll());

const CYCLES = 20;

it(`${CYCLES} times stopped, written out and gone on with in another process: files, what counts and the clock are right`, async () => {
  const root = await mkdtemp(join(tmpdir(), 'corral-cycles-'));
  const packs = join(root, 'packs');
  await mkdir(packs);
  const config = await linuxMachine({ uid: 'traveller', hostname: 'traveller' });
  let vm = await booted(config);
  await vm.exec('head -c 2000000 /dev/urandom > /root/noise; md5sum /root/noise > /root/sum; (n=0; while :; do n=$((n+1)); echo $n > /root/count; usleep 20000; done) > /dev/null 2>&1 &');
  const count = async (): Promise<number> => Number((await vm.exec('cat /root/count')).stdout);
  await eventually('the counter counts', async () => (await count()) > 3);
  let counted = 0;
  for (let cycle = 0; cycle < CYCLES; cycle += 1) {
    await vm.exec(`echo ${cycle} >> /root/cycles`);
    const directory = join(root, String(cycle));
    await mkdir(directory);
    await vm.send({ type: 'Pause' });
    const reply = await vm.send({ type: 'Snapshot', directory });
    if (!reply.ok || !reply.snapshot) throw new Error(JSON.stringify(reply));
    for (const { name, sha256 } of reply.snapshot.files) if (name === sha256) await rename(join(directory, name), join(packs, name));
    const [before, next] = [vm, await ForkedVm.fork(config)];
    await before.dispose();
    vm = next;
    await vm.start({ type: 'Snapshot', directory, packs });
    await vm.until('AgentAnswered');
    const went = await count();
    expect(went).toBeGreaterThanOrEqual(counted);
    counted = went;
    await eventually('the counter goes on', async () => (await count()) > counted);
    await eventually('its clock is right', async () => Math.abs(Number((await vm.exec('date +%s')).stdout) - Date.now() / 1000) < 2);
  }
  expect((await vm.exec('md5sum -c /root/sum; wc -l < /root/cycles')).stdout).toBe(`/root/noise: OK\n${CYCLES}\n`);
  await vm.dispose();
  await rm(root, { recursive: true });
});
