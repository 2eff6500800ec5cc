import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { findCondition, POOL_LABEL, virtualMachinePools, virtualMachines, type VirtualMachine, type VirtualMachinePoolSpec } from '@corral/contracts';
import { until } from '@corral/testing';
import { jest } from '@jest/globals';
import { Corral, IMAGE } from '../test/corral.ts';

jest.setTimeout(240_000);

let corral: Corral;
beforeAll(async () => {
  corral = await Corral.start();
  await corral.client.create(virtualMachinePools, {
    metadata: { name: 'fast', namespace: 'default' },
    spec: { template: { spec: { source: { image: IMAGE } } }, warm: 2, maximum: 6 } as VirtualMachinePoolSpec,
  });
});
afterAll(() => corral?.stop());

const warmOnes = async (): Promise<readonly VirtualMachine[]> =>
  (await corral.client.list(virtualMachines, { namespace: 'default', labelSelector: POOL_LABEL })).items.filter(({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True');
const filled = () => until(async () => (await corral.client.get(virtualMachinePools, 'default', 'fast'))?.status?.ready === 2, { timeoutMs: 60_000, what: 'the pool is warm' });
const identityOf = async (name: string): Promise<string[]> => {
  const { stdout } = await corral.exec(name, 'hostname; cat /etc/machine-id; cat /sys/class/net/*/address | grep -v 00:00:00:00:00:00; head -c 16 /dev/urandom | od -An -tx1; cat /tmp/warm');
  return stdout.trim().split('\n').map((line) => line.trim());
};

describe('A claim', () => {
  it('goes on in the warm machine’s process, under its own identity, at once', async () => {
    await filled();
    const warm = await warmOnes();
    for (const { metadata } of warm) await corral.exec(metadata.name, 'echo from-the-warm-one > /tmp/warm');
    const identities = new Map(await Promise.all(warm.map(async (vm) => [vm.metadata.uid, { pid: corral.vmProcessOf(vm), identity: await identityOf(vm.metadata.name) }] as const)));
    const before = performance.now();
    const claim = await corral.create('mine', { source: { pool: 'fast' } });
    const taken = claim.status?.claim?.virtualMachine;
    const ready = await corral.ready('mine', claim.status?.incarnation);
    const readyMs = performance.now() - before;
    const [hostname, machineId, mac, random, word] = await identityOf('mine');
    console.log(`claim: Ready and seen after ${Math.round(readyMs)} ms`);
    const known = identities.get(taken?.uid ?? '');
    expect([hostname, word]).toEqual(['mine', 'from-the-warm-one']);
    for (const { identity } of identities.values()) for (const [index, mine] of [hostname, machineId, mac, random].entries()) expect(identity[index]).not.toBe(mine);
    expect(ready.status).toMatchObject({ incarnation: 1, startedFrom: { type: 'GoldenSnapshot' }, claim: { type: 'Warm' } });
    expect(corral.vmProcesses()).toContain(known?.pid);
    expect(await corral.client.get(virtualMachines, 'default', taken?.name ?? '')).toBeUndefined();
    expect(readdirSync(join(corral.workerHome, 'machines'))).not.toContain(taken?.uid);
    await filled();
    expect((await corral.client.get(virtualMachinePools, 'default', 'fast'))?.status).toMatchObject({ warm: 2, claimed: 1, machines: 3, coldFallbacks: 0 });
  });

  it('restarts as the machine it is now, and leaves nothing when it is deleted', async () => {
    const vm = await corral.get('mine');
    process.kill(corral.vmProcesses().find((pid) => pid === pidOf(vm)) ?? 0, 'SIGKILL');
    const again = await corral.ready('mine', 2);
    expect(again.status).toMatchObject({ incarnation: 2, lastTermination: { reason: 'ProcessExited', incarnation: 1 }, startedFrom: { type: 'GoldenSnapshot', name: IMAGE } });
    expect((await identityOf('mine'))[0]).toBe('mine');
    await corral.client.delete(virtualMachines, 'default', 'mine');
    await until(async () => (await corral.client.get(virtualMachines, 'default', 'mine')) === undefined && !existsSync(join(corral.workerHome, 'machines', vm.metadata.uid)), { timeoutMs: 30_000, what: 'it is gone' });
  });

  it('made while the node agent was dead, and nobody knew yet, starts anew under its own name', async () => {
    await filled();
    // As suddenly as it can: the API still takes the machines for Ready.
    await corral.stopWorker('SIGKILL');
    const claim = await corral.create('meanwhile', { source: { pool: 'fast' } });
    expect(claim.status?.claim?.type).toBe('Warm');
    corral.startWorker();
    const ready = await corral.ready('meanwhile', 2);
    expect(ready.status).toMatchObject({ lastTermination: { reason: 'NodeStopped', incarnation: 1 }, startedFrom: { type: 'GoldenSnapshot' } });
    expect((await corral.exec('meanwhile', 'hostname')).stdout.trim()).toBe('meanwhile');
  });
});

/** The process of a claim was logged under the name of the machine it took over. */
function pidOf(vm: VirtualMachine): number {
  return corral.vmProcessOf({ ...vm, metadata: { ...vm.metadata, uid: vm.status?.claim?.virtualMachine?.uid ?? '' } });
}
