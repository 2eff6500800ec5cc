import { events, findCondition, priorityClasses, virtualMachines, type Event, type VirtualMachine } from '@corral/contracts';
import { until } from '@corral/testing';
import { jest } from '@jest/globals';
import { type Corral, IMAGE } from '../test/corral.ts';
import { startHerd } from '../test/herd.ts';
import { livingProcesses } from '../test/witness.ts';

jest.setTimeout(240_000);

let herd: Awaited<ReturnType<typeof startHerd>>;
let corral: Corral;
beforeAll(async () => {
  // One place in all, so that the second machine needs the first one's.
  herd = await startHerd(['worker-1'], { env: { CORRAL_MACHINES_MAX: '1' } });
  corral = herd.corral;
});
afterAll(() => herd?.stop());

const source = { image: IMAGE };
const scheduled = (vm: VirtualMachine) => findCondition(vm.status?.conditions, 'Scheduled');
const reasonsOf = async (name: string): Promise<(string | undefined)[]> =>
  (await corral.client.list(events, { namespace: 'default', fieldSelector: `involvedObject.name=${name}` })).items.map((event) => (event as Event).reason);

it('a machine that makes room for one of higher priority waits with all that it holds, and goes on from there when there is room again', async () => {
  await corral.client.create(priorityClasses, { metadata: { name: 'urgent' }, value: 1_000, globalDefault: false, preemptionPolicy: 'PreemptLowerPriority' } as never);
  const modest = await corral.run('modest', { source });
  await corral.execAnywhere('modest', 'echo kept > /tmp/mark');

  await corral.create('vital', { source, priorityClassName: 'urgent' } as never);
  await corral.ready('vital');
  const waiting = await corral.when('modest', 'waits for a node', (vm) => vm.spec?.nodeName === undefined && vm.status?.move === undefined);
  expect(waiting.status?.continueFrom).toBeDefined();
  expect(livingProcesses(herd.workers, waiting)).toEqual([]);
  await corral.when('modest', 'says why it waits', (vm) => scheduled(vm)?.status === 'False');
  expect(await reasonsOf('modest')).toEqual(expect.arrayContaining(['Preempted', 'Moved']));

  await corral.client.delete(virtualMachines, 'default', 'vital');
  const after = await corral.when('modest', 'runs again', (vm) => findCondition(vm.status?.conditions, 'Ready')?.status === 'True');
  expect(after.status?.incarnation).toBe((modest.status?.incarnation ?? 0) + 1);
  expect((await corral.execAnywhere('modest', 'cat /tmp/mark')).stdout).toBe('kept\n');
  await until(async () => (await reasonsOf('modest')).includes('Restored'), { timeoutMs: 20_000, what: 'it is told' });
});
