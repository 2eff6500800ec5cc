import { call, createVm, deleteVm, eventually, exec, runningVm, SerialTerminal, statusOf, VMS, waitFor } from '../api.ts';

describe('L1, L5, E7: a real Linux boots to a root shell with no manual step', () => {
  it('boots cold from the BIOS to Ready and answers as root', async () => {
    const vm = await createVm({ source: { image: 'linux-minimal' }, bootPolicy: 'Cold' });
    await waitFor(`${VMS}/${vm}`, 'Ready', 60);
    expect((await statusOf(vm)).startedFrom.type).toBe('Boot');
    const { stdout } = await exec(vm, 'uname -sr; id -u');
    expect(stdout).toMatch(/^Linux 6\.\d+.*\n0\n$/);
    await deleteVm(vm);
  });

  it('E7: runs with 512 MiB and the guest sees them', async () => {
    const vm = await runningVm({ source: { image: 'linux-minimal' }, memory: '512Mi' });
    const kib = Number((await exec(vm, "awk '/MemTotal/ {print $2}' /proc/meminfo")).stdout);
    expect(kib).toBeGreaterThan(440 * 1024);
    await deleteVm(vm);
  });

  it('gives an interactive shell on the serial line', async () => {
    const vm = await runningVm();
    const terminal = await SerialTerminal.open(vm);
    terminal.type('echo $((6*7))-answer\n');
    await terminal.see(/42-answer/);
    terminal.close();
    await deleteVm(vm);
  });

  it('L1: a panicking kernel is GuestPanicked, never Ready', async () => {
    const vm = await createVm({ source: { image: 'linux-minimal' }, restartPolicy: 'Never' });
    await waitFor(`${VMS}/${vm}`);
    const terminal = await SerialTerminal.open(vm);
    terminal.type('echo c > /proc/sysrq-trigger\n');
    const status = await eventually(
      'the machine says that its guest panicked',
      () => statusOf(vm),
      (seen) => seen.conditions?.some((c: { type: string; status: string }) => c.type === 'GuestPanicked' && c.status === 'True'),
    );
    expect(status.conditions).toEqual(expect.arrayContaining([expect.objectContaining({ type: 'Ready', status: 'False', reason: 'GuestPanicked' })]));
    expect(status.phase).toBe('Failed');
    terminal.close();
    await deleteVm(vm);
  });

  it('refuses every bad field at once', async () => {
    const answer = await call('POST', VMS, {
      apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name: 'Not_A_Label', namespace: 'default' },
      spec: { source: { image: 'no-such-image' }, memory: '4Gi', powerState: 'Flying', bogus: 1 },
    });
    expect([400, 422]).toContain(answer.status);
    const fields = answer.body.details.causes.map(({ field }: { field: string }) => field);
    expect(fields).toEqual(expect.arrayContaining(['metadata.name', 'spec.source.image', 'spec.memory', 'spec.powerState', 'spec.bogus']));
  });
});
