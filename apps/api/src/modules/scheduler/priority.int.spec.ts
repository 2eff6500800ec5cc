import { findCondition, priorityClasses, virtualMachineImages, virtualMachines, type KindDefinition, type NewObject, type PriorityClass, type VirtualMachineSpec } from '@corral/contracts';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';

const kind: KindDefinition = priorityClasses;
const aClass = (name: string, body: Partial<PriorityClass>): NewObject => ({ metadata: { name }, ...body }) as NewObject;

describe('priority', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi();
    await addTinyImage(stack);
    await eventually(async () => findCondition((await stack.admin.get(virtualMachineImages, undefined, 'tiny'))?.status?.conditions, 'Ready')?.status === 'True', 'the image is Ready');
    await eventually(() => stack.admin.get(kind, undefined, 'system-node-critical'), 'the system classes are there');
    await stack.admin.create(kind, aClass('high', { value: 1000 }));
    await stack.admin.create(kind, aClass('polite', { value: 500, preemptionPolicy: 'Never' }));
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  const create = (name: string, spec: Partial<VirtualMachineSpec>, namespace?: string) => stack.admin.create(virtualMachines, aVm(name, { powerState: 'Stopped', ...spec }, namespace));
  const forbidden = (message: RegExp) => ({ code: 'request.forbidden', message: expect.stringMatching(message) as unknown });

  it('of a machine is its class’s, filled in when it is created', async () => {
    expect((await create('named', { priorityClassName: 'high' })).spec).toMatchObject({ priorityClassName: 'high', priority: 1000, preemptionPolicy: 'PreemptLowerPriority' });
    expect((await create('shy', { priorityClassName: 'polite' })).spec).toMatchObject({ priority: 500, preemptionPolicy: 'Never' });
    expect((await create('own-words', { priorityClassName: 'high', priority: 1000 })).spec).toMatchObject({ priority: 1000 });
  });

  it('of a machine is 0 without a class, and the default class’s where there is one', async () => {
    const plain = await create('plain', {});
    expect(plain.spec).toMatchObject({ priority: 0 });
    expect(plain.spec).not.toHaveProperty('priorityClassName');
    await stack.admin.create(kind, aClass('usual', { value: 7, globalDefault: true }));
    expect((await create('usual', {})).spec).toMatchObject({ priorityClassName: 'usual', priority: 7 });
    await expect(stack.admin.create(kind, aClass('another', { value: 8, globalDefault: true }))).rejects.toMatchObject(forbidden(/usual is already marked as default/));
    await stack.admin.delete(kind, undefined, 'usual');
  });

  it('of a machine cannot be claimed: a class that does not exist, another number and another policy are forbidden', async () => {
    await expect(create('x', { priorityClassName: 'never-made' })).rejects.toMatchObject(forbidden(/no PriorityClass with name never-made was found/));
    await expect(create('x', { priority: 5 })).rejects.toMatchObject(forbidden(/integer value of priority \(5\)/));
    await expect(create('x', { priorityClassName: 'high', preemptionPolicy: 'Never' })).rejects.toMatchObject(forbidden(/PreemptionPolicy \(Never\)/));
  });

  it('above every tenant’s is for the system’s namespaces', async () => {
    await expect(create('x', { priorityClassName: 'system-node-critical' })).rejects.toMatchObject(forbidden(/corral-system only/));
    expect((await create('vital', { priorityClassName: 'system-node-critical' }, 'corral-system')).spec).toMatchObject({ priority: 2_000_001_000 });
  });

  it('of a machine never changes, and a manifest that leaves it out keeps it', async () => {
    const created = await create('lasting', { priorityClassName: 'high' });
    const { priorityClassName: _class, priority: _priority, preemptionPolicy: _policy, ...spec } = created.spec ?? aVm('x').spec!;
    const again = await stack.admin.replace(virtualMachines, { ...created, spec: { ...spec, restartPolicy: 'Never' } });
    expect(again.spec).toMatchObject({ priorityClassName: 'high', priority: 1000, restartPolicy: 'Never' });
    await expect(stack.admin.replace(virtualMachines, { ...again, spec: { ...spec, priority: 1001 } })).rejects.toMatchObject({ details: { causes: [{ field: 'spec.priority' }] } });
  });

  it('and placement: every bad field is named at once', async () => {
    const refused = create('x', {
      tolerations: [{ operator: 'Equal', value: 'v' }, { key: 'k', operator: 'Exists', value: 'v', tolerationSeconds: 5 }],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'cores', operator: 'Gt', values: ['many'] }, { key: 'zone', operator: 'In' }], matchFields: [{ key: 'metadata.uid', operator: 'In', values: ['a'] }] }] },
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 0, preference: {} }],
        },
      },
      topologySpreadConstraints: [{ maxSkew: 0, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }, { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }],
      schedulerName: 'No Such Name',
    });
    const affinity = 'spec.affinity.nodeAffinity';
    const term = `${affinity}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]`;
    const fields = await refused.then(() => [], (error: { details?: { causes?: readonly { field?: string }[] } }) => error.details?.causes?.map(({ field }) => field));
    expect(fields).toEqual([
      'spec.tolerations[0].operator', 'spec.tolerations[1].value', 'spec.tolerations[1].effect',
      `${term}.matchExpressions[0].values[0]`, `${term}.matchExpressions[1].values`, `${term}.matchFields[0].key`,
      `${affinity}.preferredDuringSchedulingIgnoredDuringExecution[0].weight`,
      'spec.topologySpreadConstraints[0].maxSkew', 'spec.topologySpreadConstraints[1]', 'spec.schedulerName',
    ]);
  });

  const fields = (...expected: string[]) => ({ code: 'object.invalid', details: { causes: expected.map((field) => expect.objectContaining({ field }) as unknown) } });

  it('classes keep value and policy, may change its description, and leaves the system’s names and numbers alone', async () => {
    const created = (await stack.admin.create(kind, aClass('steady', { value: 10 }))) as PriorityClass;
    expect(created).toMatchObject({ value: 10, globalDefault: false, preemptionPolicy: 'PreemptLowerPriority' });
    await expect(stack.admin.replace(kind, { ...created, value: 11, preemptionPolicy: 'Never' } as PriorityClass)).rejects.toMatchObject(fields('value', 'preemptionPolicy'));
    expect(await stack.admin.replace(kind, { ...created, description: 'for builds' } as PriorityClass)).toMatchObject({ description: 'for builds' });
    await expect(stack.admin.create(kind, aClass('system-mine', { value: 1 }))).rejects.toMatchObject(fields('metadata.name'));
    await expect(stack.admin.create(kind, aClass('mighty', { value: 1_000_000_001 }))).rejects.toMatchObject(fields('value'));
  });
});
