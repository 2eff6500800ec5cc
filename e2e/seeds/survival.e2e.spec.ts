import { call, createVm, deleteVm, eventually, exec, runningVm, snapshotOf, SNAPSHOTS, statusOf, VMS, waitFor } from '../api.ts';
import { restartStack } from '../stack.ts';

/** Leaves a process that counts in memory, a file in tmpfs, and waits until it has counted. */
async function startCounting(vm: string): Promise<void> {
  await exec(vm, 'echo kept > /tmp/mark; (i=1000; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.05; done) >/dev/null 2>&1 </dev/null &');
  await eventually('the counter moved', () => exec(vm, 'cat /tmp/count'), ({ stdout }) => Number(stdout) > 1003);
}
const count = async (vm: string): Promise<number> => Number((await exec(vm, 'cat /tmp/count')).stdout);

describe('E3, L2: save and restore', () => {
  it('a machine made from a snapshot goes on where the other was, and the other goes on as well', async () => {
    const vm = await runningVm();
    await startCounting(vm);
    const snapshot = await snapshotOf(vm);
    const atSnapshot = await count(vm);
    const restored = await runningVm({ source: { snapshot } });
    expect((await exec(restored, 'cat /tmp/mark')).stdout).toBe('kept\n');
    const first = await eventually('the restored counter is read', () => count(restored), (n) => n > 1000);
    expect(first).toBeGreaterThan(1003);
    await eventually('the restored counter goes on', () => count(restored), (n) => n > first);
    await eventually('the source goes on', () => count(vm), (n) => n > atSnapshot);
    const { body } = await call('GET', `${SNAPSHOTS}/${snapshot}`);
    expect(body.status).toMatchObject({ digest: expect.stringMatching(/^[0-9a-f]{64}$/), sizeBytes: expect.any(Number), pauseMilliseconds: expect.any(Number) });
    // 128 MiB of RAM must not cost 128 MiB of S3.
    expect(body.status.sizeBytes).toBeLessThan(64 * 1024 * 1024);
    await Promise.all([deleteVm(vm), deleteVm(restored)]);
  });

  it('two machines from one snapshot do not share their randomness', async () => {
    const vm = await runningVm();
    const snapshot = await snapshotOf(vm);
    const [one, two] = [await runningVm({ source: { snapshot } }), await runningVm({ source: { snapshot } })];
    const random = 'head -c 16 /dev/urandom | hexdump -e \'16/1 "%02x"\'';
    expect((await exec(one, random)).stdout).not.toBe((await exec(two, random)).stdout);
    await Promise.all([vm, one, two].map(deleteVm));
  });
});

describe('D9: the session survives', () => {
  it('after a restart of the whole stack every object is there, the machine goes on, and a snapshot still restores', async () => {
    const vm = await runningVm();
    await startCounting(vm);
    const snapshot = await snapshotOf(vm);
    const before = await count(vm);
    const restarted = await restartStack();
    expect(restarted.readyMs).toBeLessThan(120_000);
    await waitFor(`${VMS}/${vm}`, 'Ready', 60);
    expect((await statusOf(vm)).incarnation).toBeGreaterThan(1);
    await eventually('the counter goes on from where it was', () => count(vm), (n) => n > before);
    const restored = await createVm({ source: { snapshot } });
    await waitFor(`${VMS}/${restored}`, 'Ready', 60);
    expect((await exec(restored, 'cat /tmp/mark')).stdout).toBe('kept\n');
    await eventually('the restored counter goes on', () => count(restored), (n) => n > 1003);
    await Promise.all([deleteVm(vm), deleteVm(restored)]);
  });
});
