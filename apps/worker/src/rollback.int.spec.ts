import { findCondition, Problem, ROLLED_BACK_ANNOTATION, virtualMachines, type VirtualMachine } from '@corral/contracts';
import { until } from '@corral/testing';
import { jest } from '@jest/globals';
import { WebSocket } from 'ws';
import { ADMIN, type Corral, IMAGE } from '../test/corral.ts';
import { SHORT_LEASE_SECONDS } from '../test/herd.ts';
import { WatchedHerd } from '../test/watched-herd.ts';

jest.setTimeout(240_000);

const herd = WatchedHerd.around(['worker-1', 'worker-2'], { leaseSeconds: SHORT_LEASE_SECONDS });
let corral: Corral;
beforeAll(() => void (corral = herd.corral));

const mark = async (name: string, word: string): Promise<void> => void (await corral.execAnywhere(name, `echo ${word} > /tmp/mark`));
const marked = async (name: string): Promise<string> => (await corral.execAnywhere(name, 'cat /tmp/mark')).stdout.trim();
async function kept(snapshot: string, name: string): Promise<void> {
  await corral.takeSnapshot(snapshot, name);
  await corral.snapshotWhen(snapshot, 'Ready', ({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True');
}
/** As `corral rollback` asks. */
async function rollBack(name: string, snapshot: string): Promise<void> {
  for (;;) {
    const vm = await corral.get(name);
    const annotations = { ...vm.metadata.annotations, [ROLLED_BACK_ANNOTATION]: new Date().toISOString() };
    try {
      await corral.client.replace(virtualMachines, { ...vm, metadata: { ...vm.metadata, annotations }, spec: { ...vm.spec, source: { snapshot } } as never });
      return;
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'object.conflict')) throw error;
    }
  }
}
const goneOn = (name: string, incarnation: number): Promise<VirtualMachine> => corral.ready(name, incarnation);

describe('A machine that is rolled back', () => {
  it('goes on from that moment in a new incarnation, again and again, forward too, and whatever its restart policy says', async () => {
    await corral.run('demo', { source: { image: IMAGE }, restartPolicy: 'Never' });
    await mark('demo', 'first');
    await kept('at-first', 'demo');
    await mark('demo', 'second');
    await kept('at-second', 'demo');
    await mark('demo', 'lost');

    await rollBack('demo', 'at-first');
    const back = await goneOn('demo', 2);
    expect(back.status).toMatchObject({ startedFrom: { type: 'Snapshot', name: 'at-first' }, lastTermination: { reason: 'RolledBack', incarnation: 1 }, restartCount: 0 });
    expect(back.status?.continueFrom).toBeUndefined();
    expect(await marked('demo')).toBe('first');

    await mark('demo', 'elsewhere');
    await rollBack('demo', 'at-first');
    await goneOn('demo', 3);
    expect(await marked('demo')).toBe('first');

    await rollBack('demo', 'at-second');
    await goneOn('demo', 4);
    expect(await marked('demo')).toBe('second');
  });

  it('before it has started again stays on the way to the last that was asked for', async () => {
    await Promise.all([rollBack('demo', 'at-first'), rollBack('demo', 'at-first')]);
    await rollBack('demo', 'at-second');
    const vm = await corral.when('demo', 'Ready, with nothing left to go back to', ({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True' && status?.continueFrom === undefined);
    expect(vm.status?.startedFrom?.name).toBe('at-second');
    expect(await marked('demo')).toBe('second');
  });

  it('stays connected to whoever watches its serial line', async () => {
    const serial = new WebSocket(`${corral.url.replace('http', 'ws')}/apis/corral.dev/v1/namespaces/default/virtualmachines/demo/serial`, { headers: ADMIN });
    let said = '';
    let closed: number | undefined;
    serial.on('message', (data: Buffer) => (said += data.toString()));
    serial.once('close', (code) => (closed = code));
    await new Promise((resolve) => serial.once('open', resolve));
    const { status } = await corral.get('demo');
    await rollBack('demo', 'at-first');
    await goneOn('demo', (status?.incarnation ?? 0) + 1);
    serial.send('echo "again $((40+2))"\n');
    await until(async () => said.includes('again 42') || closed !== undefined, { timeoutMs: 30_000, what: 'the guest answers' });
    expect([closed, said.includes('again 42')]).toEqual([undefined, true]);
    serial.close();
  });

  it('and switched off goes on from there once it is switched on', async () => {
    await corral.want('demo', { powerState: 'Stopped' });
    await corral.when('demo', 'Stopped', ({ status }) => status?.phase === 'Stopped');
    await rollBack('demo', 'at-first');
    expect((await corral.get('demo')).status).toMatchObject({ phase: 'Stopped', continueFrom: { reason: 'RolledBack', snapshot: 'at-first' } });
    await corral.want('demo', { powerState: 'Running' });
    await corral.when('demo', 'Ready', ({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True');
    expect(await marked('demo')).toBe('first');
  });

  it('is brought back to where it was sent, not to what it was sent back from, when its node is lost', async () => {
    const vm = await corral.run('twice');
    await mark('twice', 'wanted');
    await kept('wanted', 'twice');
    await mark('twice', 'unwanted');
    await kept('unwanted', 'twice');
    await rollBack('twice', 'wanted');
    const { status } = await goneOn('twice', (vm.status?.incarnation ?? 0) + 1);
    const lost = herd.workers.find(({ name }) => name === status?.nodeName);
    await lost?.kill();
    const again = await corral.when('twice', 'Ready elsewhere', ({ status: now }) => now?.nodeName !== lost?.name && findCondition(now?.conditions, 'Ready')?.status === 'True');
    expect(again.status).toMatchObject({ startedFrom: { name: 'wanted' }, lastTermination: { reason: 'NodeLost' } });
    expect(await marked('twice')).toBe('wanted');
    lost?.launch();
    await until(async () => (lost ? (await lost.ready(), true) : true), { timeoutMs: 60_000, what: 'the worker is back' });
  });

  it('is refused what it could not go on from, and nothing is touched', async () => {
    const before = await corral.get('twice');
    await expect(rollBack('twice', 'nothing')).rejects.toMatchObject({ details: { causes: [{ field: 'spec.source.snapshot', reason: 'FieldValueNotFound' }] } });
    await corral.takeSnapshot('unfinished', 'twice');
    await expect(rollBack('twice', 'unfinished')).rejects.toMatchObject({ details: { causes: [{ reason: 'SnapshotNotReady' }] } });
    const vm = await corral.get('twice');
    await expect(corral.client.replace(virtualMachines, { ...vm, spec: { ...vm.spec, source: { image: IMAGE } } as never })).rejects.toMatchObject({ details: { causes: [{ field: 'spec.source', reason: 'FieldValueForbidden' }] } });
    expect((await corral.get('twice')).status).toMatchObject({ incarnation: before.status?.incarnation, phase: 'Running' });
    expect(await marked('twice')).toBe('wanted');
  });
});
