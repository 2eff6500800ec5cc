import { events, findCondition, priorityClasses, virtualMachines, type Event, type NewObject, type VirtualMachine, type VirtualMachineStatus } from '@corral/contracts';
import { PROCESS_OVERHEAD_BYTES } from '@corral/scheduling';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm, edit } from '../../../test/wishes.ts';
import { Unbinding } from '../nodes/unbinding.ts';

const ROOM = 64 * 2 ** 20 + PROCESS_OVERHEAD_BYTES;

describe('a machine of higher priority', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi();
    await addTinyImage(stack, { memory: '64Mi' });
    await stack.admin.create(priorityClasses, { metadata: { name: 'urgent' }, value: 1000 } as NewObject);
    await stack.admin.create(priorityClasses, { metadata: { name: 'patient' }, value: 1000, preemptionPolicy: 'Never' } as NewObject);
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  const get = async (name: string): Promise<VirtualMachine> => (await stack.admin.get(virtualMachines, 'default', name))!;
  const on = (node: string, name: string, spec = {}) => stack.admin.create(virtualMachines, aVm(name, { nodeSelector: { only: node }, ...spec }));
  const bound = (name: string): Promise<string> => eventually(async () => (await get(name)).spec?.nodeName, `${name} is bound`);
  const waits = (name: string, message: RegExp) =>
    eventually(async () => {
      const condition = findCondition((await get(name)).status?.conditions, 'Scheduled');
      return condition?.status === 'False' && message.test(condition.message) && condition;
    }, `${name} waits: ${message}`);
  const happened = (name: string, reason: string) =>
    eventually(
      async () => (await stack.admin.list(events, { namespace: 'default', fieldSelector: `involvedObject.name=${name}` })).items.find((event) => (event as Event).reason === reason) as Event | undefined,
      `${name}: ${reason}`,
    );
  const report = (name: string, status: VirtualMachineStatus) =>
    eventually(async () => {
      const vm = await stack.agent.get(virtualMachines, 'default', name);
      return vm && stack.agent.replaceStatus(virtualMachines, { ...vm, status: { ...vm.status, ...status } });
    }, `the status of ${name}`);

  it('takes the place of one that has not started, which waits for another', async () => {
    await registerNode(stack.agent, 'first', { memory: String(ROOM), labels: { only: 'first' } });
    await on('first', 'modest');
    await bound('modest');
    await on('first', 'vital', { priorityClassName: 'urgent' });
    expect(await bound('vital')).toBe('first');
    expect((await get('vital')).status?.nominatedNodeName).toBeUndefined();
    expect(await happened('modest', 'Preempted')).toMatchObject({ type: 'Warning', message: 'Makes room on first for default/vital, whose priority is higher.' });
    await happened('vital', 'FailedScheduling');
    await waits('modest', /insufficient memory/);
    expect((await get('modest')).status?.phase).toBe('Pending');
    await stack.admin.delete(virtualMachines, 'default', 'vital');
    expect(await bound('modest')).toBe('first');
  });

  it('has one that runs moved with its state, waits for it, and nobody less important slips into the room', async () => {
    await registerNode(stack.agent, 'second', { memory: String(ROOM), labels: { only: 'second' } });
    await on('second', 'working');
    await bound('working');
    await report('working', { phase: 'Running', incarnation: 1, nodeName: 'second' });
    await on('second', 'pressing', { priorityClassName: 'urgent' });
    const asked = await eventually(async () => {
      const { status } = await get('working');
      return status?.move && status;
    }, 'it is asked to move');
    expect(asked).toMatchObject({ phase: 'Running', move: { reason: 'Preempted', from: 'second', incarnation: 1 } });
    await waits('pressing', /1 of lower priority makes room on second/);
    expect(await get('pressing')).toMatchObject({ status: { nominatedNodeName: 'second' } });
    await on('second', 'opportunist');
    await waits('opportunist', /insufficient memory/);

    // As when its move has come about.
    await eventually(async () => {
      const { move: _move, nodeName: _node, ...status } = (await get('working')).status ?? {};
      return stack.app.get(Unbinding, { strict: false }).unbind(await get('working'), { ...status, phase: 'Pending' });
    }, 'it has left');
    expect(await bound('pressing')).toBe('second');
    for (const name of ['opportunist', 'working']) expect((await get(name)).spec?.nodeName).toBeUndefined();
  });

  it('that is switched off keeps no room any more', async () => {
    await registerNode(stack.agent, 'fourth', { memory: String(ROOM), labels: { only: 'fourth' } });
    await on('fourth', 'resident');
    await bound('resident');
    await report('resident', { phase: 'Running', incarnation: 1, nodeName: 'fourth' });
    await on('fourth', 'hasty', { priorityClassName: 'urgent' });
    await waits('hasty', /1 of lower priority makes room on fourth/);
    await edit(stack, virtualMachines, 'default', 'hasty', (spec) => ({ ...spec, powerState: 'Stopped' as const }));
    await on('fourth', 'next');
    await waits('next', /insufficient memory/);
    await stack.admin.delete(virtualMachines, 'default', 'resident');
    expect(await bound('next')).toBe('fourth');
  });

  it('takes nobody’s place whose class says never, nor one as important', async () => {
    await registerNode(stack.agent, 'third', { memory: String(ROOM), labels: { only: 'third' } });
    await on('third', 'settled', { priorityClassName: 'urgent' });
    await bound('settled');
    await on('third', 'equal', { priorityClassName: 'urgent' });
    await waits('equal', /^0\/\d nodes: \d+ without the selected labels, 1 insufficient memory$/);
    await stack.admin.delete(virtualMachines, 'default', 'equal');
    await stack.admin.delete(virtualMachines, 'default', 'settled');
    await on('third', 'lowly');
    await bound('lowly');
    await on('third', 'polite', { priorityClassName: 'patient' });
    await waits('polite', /^0\/\d nodes: \d+ without the selected labels, 1 insufficient memory$/);
    expect((await get('lowly')).spec?.nodeName).toBe('third');
  });
});
