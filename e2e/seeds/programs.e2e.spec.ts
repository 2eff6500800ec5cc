import { readFileSync } from 'node:fs';
import path from 'node:path';
import { call, deleteVm, eventually, exec, IMAGES, runningVm, snapshotOf, statusOf, VMS, waitFor } from '../api.ts';

/** The C program runs inside Debian, compiled by Debian's own gcc, so this is also W1's first half and the proof that debian-dev boots. */
describe('W5: self-modifying code, threads, many processes, IPC', () => {
  it('runs a program that uses them all, compiled in the guest', async () => {
    await waitFor(`${IMAGES}/debian-dev`, 'Baked', 300);
    const vm = await runningVm({ source: { image: 'debian-dev' } });
    const source = readFileSync(path.join(import.meta.dirname, 'programs.c'));
    const put = await call('PUT', `${VMS}/${vm}/files?path=/root/programs.c`, source, { 'content-type': 'application/octet-stream' });
    expect(put.status).toBe(200);
    expect(await exec(vm, 'gcc -O1 -o /root/programs /root/programs.c -lpthread -lrt', { timeoutSeconds: 120 })).toMatchObject({ exitCode: 0 });
    expect(await exec(vm, '/root/programs', { timeoutSeconds: 120 })).toEqual(
      expect.objectContaining({ exitCode: 0, stdout: 'self-modifying code ok\nthreads ok\nmany processes ok\nipc ok\n' }),
    );
    expect((await exec(vm, "python3 -c 'print(6*7)'; node -p 1+1; git --version", { timeoutSeconds: 120 })).stdout).toMatch(/^42\n2\ngit version/);
    await deleteVm(vm);
  }, 600_000);
});

describe('D9, E3: what a machine wrote to its disk', () => {
  it('is in its snapshot, and still there after it was switched off and on', async () => {
    await waitFor(`${IMAGES}/debian-dev`, 'Baked', 300);
    const vm = await runningVm({ source: { image: 'debian-dev' } });
    await exec(vm, 'dd if=/dev/urandom of=/root/kept bs=1M count=8 2>/dev/null; sync; echo in-tmpfs > /tmp/volatile');
    const digest = (await exec(vm, 'sha256sum < /root/kept')).stdout;
    const snapshot = await snapshotOf(vm);

    const restored = await runningVm({ source: { snapshot } });
    expect((await exec(restored, 'echo 3 > /proc/sys/vm/drop_caches; sha256sum < /root/kept; cat /tmp/volatile')).stdout).toBe(`${digest}in-tmpfs\n`);
    await deleteVm(restored);

    await call('PATCH', `${VMS}/${vm}`, { spec: { powerState: 'Stopped' } });
    await eventually('the machine is off', () => statusOf(vm), ({ phase }) => phase === 'Stopped');
    await call('PATCH', `${VMS}/${vm}`, { spec: { powerState: 'Running' } });
    await waitFor(`${VMS}/${vm}`, 'Ready', 120);
    expect((await statusOf(vm)).startedFrom.type).toBe('Boot');
    expect((await exec(vm, 'sha256sum < /root/kept', { timeoutSeconds: 120 })).stdout).toBe(digest);
    await deleteVm(vm);
  }, 600_000);
});
