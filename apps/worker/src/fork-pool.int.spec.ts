import { findCondition, POOL_LABEL, virtualMachinePools, virtualMachines, virtualMachineSnapshots, type VirtualMachine, type VirtualMachinePoolSpec } from '@corral/contracts';
import { until } from '@corral/testing';
import { jest } from '@jest/globals';
import { Corral, readyOf } from '../test/corral.ts';

jest.setTimeout(240_000);

const MIB = 2 ** 20;
let corral: Corral;
beforeAll(async () => {
  corral = await Corral.start();
  await corral.run('source');
});
afterAll(() => corral?.stop());

const said = async (name: string, command: string): Promise<string> => (await corral.execAnywhere(name, command)).stdout.trim();
const pool = () => corral.client.get(virtualMachinePools, 'default', 'twins');
const waiting = async (): Promise<readonly VirtualMachine[]> => (await corral.client.list(virtualMachines, { namespace: 'default', labelSelector: `${POOL_LABEL}=twins` })).items;
const filled = () => until(async () => (await pool())?.status?.ready === 3, { timeoutMs: 60_000, what: 'the pool is warm' });
const moments = async () => (await corral.client.list(virtualMachineSnapshots, { namespace: 'default' })).items;
const noneHeld = () => until(async () => (await moments()).length === 0, { timeoutMs: 60_000, what: 'moments are let go of' });
const readyReason = async (): Promise<string | undefined> => findCondition((await pool())?.status?.conditions, 'Ready')?.reason;
/** What only this machine says, and what tells whom it is. */
const identityOf = async (name: string): Promise<string[]> =>
  (await said(name, 'cat /etc/machine-id; cat /sys/class/net/*/address | grep -v 00:00:00:00:00:00; head -c 32 /dev/urandom | od -An -tx1 | tr -d " \\n"')).split('\n');

describe('A pool of a running machine', () => {
  let content: string;

  it('is forks of one moment of it: each with its memory and processes, as somebody else, and sharing its pages; it runs on', async () => {
    content = await said('source', `head -c ${24 * MIB} /dev/urandom > /tmp/content; echo first > /tmp/mark; (while :; do sleep 1; done) & echo $! > /tmp/pid; sha256sum /tmp/content`);
    await corral.client.create(virtualMachinePools, {
      metadata: { name: 'twins', namespace: 'default' },
      spec: { template: { spec: { source: { virtualMachine: 'source' } } }, warm: 3, maximum: 5 } as VirtualMachinePoolSpec,
    });
    await filled();
    const twins = await waiting();
    expect(twins.map(({ status }) => status?.startedFrom)).toEqual(Array.from({ length: 3 }, () => ({ type: 'Fork', name: 'source' })));
    expect(new Set(twins.map(({ status }) => status?.fork?.snapshot)).size).toBe(1);
    for (const { metadata, status } of twins) {
      expect(await said(metadata.name, 'sha256sum /tmp/content; cat /tmp/mark; kill -0 $(cat /tmp/pid) && hostname')).toBe(`${content}\nfirst\n${metadata.name}`);
      // The source's file is in none of them: a host that can map shows it.
      if (status?.memory?.mode !== 'Copy') expect((await corral.when(metadata.name, 'it tells of its memory', (vm) => vm.status?.memory)).status?.memory?.privateBytes).toBeLessThan(24 * MIB);
    }
    const identities = await Promise.all(['source', ...twins.map(({ metadata }) => metadata.name)].map(identityOf));
    for (const index of [0, 1, 2]) expect(new Set(identities.map((identity) => identity[index])).size).toBe(4);
    expect((await corral.get('source')).status).toMatchObject({ incarnation: 1, phase: 'Running' });
    await noneHeld();
  });

  it('hands one over, and fills its place with what the source is by then: never more than it may have', async () => {
    await said('source', 'echo second > /tmp/mark');
    const claim = await corral.create('mine', { source: { pool: 'twins' } });
    expect(claim.status).toMatchObject({ claim: { type: 'Warm' }, fork: { virtualMachine: 'source' } });
    await corral.ready('mine');
    expect(await said('mine', 'sha256sum /tmp/content; cat /tmp/mark; hostname')).toBe(`${content}\nfirst\nmine`);
    await filled();
    const marks = await Promise.all((await waiting()).map(({ metadata }) => said(metadata.name, 'cat /tmp/mark')));
    expect(marks.toSorted()).toEqual(['first', 'first', 'second']);
    const identities = await Promise.all(['source', 'mine', ...(await waiting()).map(({ metadata }) => metadata.name)].map(identityOf));
    for (const index of [0, 1, 2]) expect(new Set(identities.map((identity) => identity[index])).size).toBe(5);
    expect((await pool())?.status).toMatchObject({ warm: 3, claimed: 1, machines: 4, coldFallbacks: 0 });
  });

  it('whose machine has ended, and all it held with it, is given another, and never one that began anew', async () => {
    // While its moment is kept, it would go on from that.
    await noneHeld();
    const [lost] = await waiting();
    if (!lost) throw new Error('machines wait');
    process.kill(corral.vmProcessOf(lost), 'SIGKILL');
    const failed = await corral.when(lost.metadata.name, 'it has nothing to begin with', (vm) => readyOf(vm)?.reason === 'ForkMomentGone');
    expect(failed.status).toMatchObject({ phase: 'Failed', incarnation: 1 });
    await until(async () => (await corral.client.get(virtualMachines, 'default', lost.metadata.name)) === undefined, { timeoutMs: 60_000, what: 'it is removed' });
    await filled();
    for (const { metadata } of await waiting()) expect(await said(metadata.name, 'cat /tmp/mark')).toMatch(/first|second/);
  });

  it('lives on without its source, and says that no place will be filled', async () => {
    await noneHeld();
    await corral.want('source', { powerState: 'Stopped' });
    await corral.when('source', 'Stopped', ({ status }) => status?.phase === 'Stopped');
    await until(async () => findCondition((await pool())?.status?.conditions, 'SourceRunning')?.reason === 'SourceNotRunning', { timeoutMs: 20_000, what: 'the pool says so' });
    expect([await readyReason(), (await pool())?.status?.ready]).toEqual(['Warm', 3]);
    expect((await corral.create('late', { source: { pool: 'twins' } })).status?.claim?.type).toBe('Warm');
    await corral.ready('late');
    expect(await said('late', 'sha256sum /tmp/content')).toBe(content);
    await until(async () => (await readyReason()) === 'SourceNotRunning', { timeoutMs: 20_000, what: 'its place stays empty' });
    expect([(await pool())?.status?.warm, await moments()]).toEqual([2, []]);
  });

  it('is filled again once its source runs, from what that is then', async () => {
    await corral.want('source', { powerState: 'Running' });
    await corral.ready('source', 2);
    await filled();
    const files = await Promise.all((await waiting()).map(({ metadata }) => said(metadata.name, 'ls /tmp/content || echo none')));
    expect(files.filter((file) => file === 'none')).toHaveLength(1);
    await corral.client.delete(virtualMachinePools, 'default', 'twins');
    await until(async () => (await waiting()).length === 0, { timeoutMs: 60_000, what: 'its machines go with it' });
    await noneHeld();
    expect(await said('mine', 'sha256sum /tmp/content')).toBe(content);
  });
});
