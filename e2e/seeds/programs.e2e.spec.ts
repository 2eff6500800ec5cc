import { readFileSync } from 'node:fs';
import path from 'node:path';
import { call, deleteVm, exec, IMAGES, runningVm, VMS, waitFor } from '../api.ts';

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
