import { events, namespaces, SYSTEM_NAMESPACES, toKubeTime, virtualMachines, virtualMachineSnapshots, type KindDefinition, type NewObject } from '@corral/contracts';
import { MACHINE_FINALIZER } from '@corral/vm-lifecycle';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';
import { EVENT_TTL_MS, EventSweep } from '../events/event.sweep.ts';

describe('namespaces', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi();
    await addTinyImage(stack);
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  const get = (name: string) => stack.admin.get(namespaces, undefined, name);
  const create = (name: string) => stack.admin.create(namespaces as KindDefinition, { metadata: { name } });

  it('of the system exist from the first start', async () => {
    for (const name of SYSTEM_NAMESPACES) await eventually(async () => (await get(name)) !== undefined, name);
  });

  it('are Active from the moment they are created, whatever the caller says', async () => {
    const created = await stack.admin.create(namespaces as KindDefinition, { metadata: { name: 'active' }, status: { phase: 'Terminating' } } as NewObject);
    expect(created.status).toEqual({ phase: 'Active' });
    expect((await get('active'))?.status).toEqual({ phase: 'Active' });
    const { items } = await stack.admin.list(namespaces, { fieldSelector: 'status.phase=Active' });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(expect.arrayContaining(['active', ...SYSTEM_NAMESPACES]));
  });

  it('carry their name as a label, and nobody takes it off', async () => {
    await create('labelled');
    const created = await get('labelled');
    expect(created?.metadata.labels).toEqual({ 'kubernetes.io/metadata.name': 'labelled' });
    if (created) await stack.admin.replace(namespaces, { ...created, metadata: { ...created.metadata, labels: { team: 'a' } } });
    expect((await get('labelled'))?.metadata.labels).toEqual({ 'kubernetes.io/metadata.name': 'labelled', team: 'a' });
  });

  it('go with everything in them, once everything in them has gone', async () => {
    await create('doomed');
    const vm = await stack.admin.create(virtualMachines, aVm('held', { powerState: 'Stopped' }, 'doomed'));
    await stack.admin.replace(virtualMachines, { ...vm, metadata: { ...vm.metadata, finalizers: [MACHINE_FINALIZER] } });
    await stack.admin.create(virtualMachines, aVm('free', { powerState: 'Stopped' }, 'doomed'));
    await stack.admin.create(virtualMachineSnapshots, { metadata: { name: 'snap', namespace: 'doomed' }, spec: { virtualMachine: 'held' } });

    await stack.admin.delete(namespaces, undefined, 'doomed');
    expect(await get('doomed')).toMatchObject({ status: { phase: 'Terminating' } });
    await eventually(async () => (await get('doomed'))?.status?.conditions?.some(({ message }) => message === 'Still there: 1 virtualmachines.'), 'only the held machine remains');
    await expect(stack.admin.create(virtualMachines, aVm('late', {}, 'doomed'))).rejects.toMatchObject({ code: 'request.forbidden' });

    const held = await stack.admin.get(virtualMachines, 'doomed', 'held');
    if (held) await stack.admin.replace(virtualMachines, { ...held, metadata: { ...held.metadata, finalizers: [] } });
    await eventually(async () => (await get('doomed')) === undefined, 'the namespace is gone');
  });

  it('forget events an hour after they happened last', async () => {
    const now = Date.now();
    const event = (name: string, ageMs: number, more: object = {}) =>
      stack.admin.create(events, {
        metadata: { name, namespace: 'default' },
        involvedObject: { kind: 'VirtualMachine', name: 'x', namespace: 'default' },
        reason: name, type: 'Normal', firstTimestamp: toKubeTime(new Date(now - ageMs)), lastTimestamp: toKubeTime(new Date(now - ageMs)), ...more,
      } as NewObject);
    await event('old', EVENT_TTL_MS + 60_000);
    await event('young', EVENT_TTL_MS - 60_000);
    await event('repeated', 10 * EVENT_TTL_MS, { lastTimestamp: toKubeTime(new Date(now)) });
    expect(await stack.app.get(EventSweep).sweep(new Date(now))).toBe(1);
    const names = (await stack.admin.list(events, { namespace: 'default' })).items.map(({ metadata }) => metadata.name);
    expect(names).toEqual(expect.arrayContaining(['young', 'repeated']));
    expect(names).not.toContain('old');
  });
});
