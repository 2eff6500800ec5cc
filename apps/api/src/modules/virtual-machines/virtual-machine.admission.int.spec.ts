import { findCondition, virtualMachineImages, virtualMachines, type VirtualMachine, type VirtualMachineSpec } from '@corral/contracts';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { bzImage, cpio } from '../../../test/boot-bytes.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { anImage, aVm, upload } from '../../../test/wishes.ts';

describe('a VirtualMachine', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi();
    const [kernel, initrd] = await Promise.all([upload(stack, bzImage()), upload(stack, cpio(10 * 2 ** 20))]);
    await stack.admin.create(virtualMachineImages, anImage('declared', { kernel: { url: kernel.url }, memory: '192Mi', minimumMemory: '96Mi' }));
    await stack.admin.create(virtualMachineImages, anImage('frugal', { kernel: { url: kernel.url }, memory: '192Mi', residentMemory: '64Mi' }));
    await stack.admin.create(virtualMachineImages, anImage('computed', { kernel: { url: kernel.url }, initrd: { url: initrd.url } }));
    await stack.admin.create(virtualMachineImages, anImage('unfetched', { kernel: { url: `artifact:${'0'.repeat(64)}` }, initrd: { url: `artifact:${'1'.repeat(64)}` } }));
    for (const name of ['declared', 'computed']) {
      await eventually(async () => findCondition((await stack.admin.get(virtualMachineImages, undefined, name))?.status?.conditions, 'Ready')?.status === 'True', `${name} is Ready`);
    }
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  const create = (name: string, spec: Partial<VirtualMachineSpec>) => stack.admin.create(virtualMachines, aVm(name, { powerState: 'Stopped', ...spec }));
  const refused = (field: string, reason: string) => ({ code: 'object.invalid', details: { causes: [{ field, reason, message: expect.any(String) as unknown }] } });

  it('that names no memory gets its image’s', async () => {
    expect((await create('default-memory', { source: { image: 'declared' } })).spec?.memory).toBe('192Mi');
    expect((await create('own-memory', { source: { image: 'declared' }, memory: '96Mi' })).spec?.memory).toBe('96Mi');
  });

  it('of an image that does not exist is refused', async () => {
    await expect(create('x', { source: { image: 'never' } })).rejects.toMatchObject(refused('spec.source.image', 'FieldValueNotFound'));
  });

  it('with less memory than its image declares is refused', async () => {
    await expect(create('x', { source: { image: 'declared' }, memory: '95Mi' })).rejects.toMatchObject(refused('spec.memory', 'FieldValueInvalid'));
  });

  it('with too little memory for its image’s initrd is refused, though the image declares nothing', async () => {
    await expect(create('x', { source: { image: 'computed' }, memory: '74Mi' })).rejects.toMatchObject(refused('spec.memory', 'FieldValueInvalid'));
    await create('just-enough', { source: { image: 'computed' }, memory: '75Mi' });
  });

  it('on a node that does not exist is refused', async () => {
    await expect(create('x', { source: { image: 'declared' }, nodeName: 'nowhere' })).rejects.toMatchObject(refused('spec.nodeName', 'FieldValueNotFound'));
    await registerNode(stack.agent, 'somewhere');
    const bound = await create('by-hand', { source: { image: 'declared' }, nodeName: 'somewhere' });
    expect(bound.status).toMatchObject({ phase: 'Scheduled', conditions: [{ type: 'Scheduled', status: 'True', reason: 'Bound' }] });
  });

  it('takes its own manifest again once memory and node are filled in, however the memory is written', async () => {
    await registerNode(stack.agent, 'replaced-on');
    const send = async (method: string, body: object, type = 'application/json') => {
      const path = `/apis/corral.dev/v1/namespaces/default/virtualmachines${method === 'POST' ? '' : '/replaced'}`;
      const response = await stack.fetch(path, { method, headers: { 'content-type': type }, body: JSON.stringify(body) });
      return { code: response.status, body: (await response.json()) as VirtualMachine };
    };
    const manifest = { apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name: 'replaced' }, spec: { source: { image: 'declared' }, powerState: 'Stopped' } };
    await send('POST', manifest);
    await send('PATCH', { spec: { nodeName: 'replaced-on' } }, 'application/merge-patch+json');
    const replace = async (spec: object) => {
      const current = await stack.admin.get(virtualMachines, 'default', 'replaced');
      return send('PUT', { ...manifest, metadata: { ...manifest.metadata, resourceVersion: current?.metadata.resourceVersion }, spec: { ...manifest.spec, ...spec } });
    };
    const whole = { memory: '192Mi', nodeName: 'replaced-on' };
    expect(await replace({})).toMatchObject({ code: 200, body: { metadata: { generation: 2 }, spec: whole } });
    expect(await replace({ restartPolicy: 'Never' })).toMatchObject({ code: 200, body: { metadata: { generation: 3 }, spec: { ...whole, restartPolicy: 'Never' } } });
    expect(await send('PATCH', { spec: { memory: null, nodeName: null } }, 'application/merge-patch+json')).toMatchObject({ code: 200, body: { spec: whole } });
    expect((await replace({ memory: `${192 * 1024}Ki` })).code).toBe(200);
    expect((await replace({ memory: '193Mi' })).code).toBe(422);
    expect((await replace({ nodeName: 'somewhere' })).code).toBe(422);
  });

  it('has a budget of resident memory from 16Mi to its memory, named or its image’s', async () => {
    const source = { image: 'declared' };
    for (const residentMemory of ['15Mi', '193Mi']) {
      await expect(create('x', { source, residentMemory })).rejects.toMatchObject(refused('spec.residentMemory', 'FieldValueInvalid'));
    }
    await expect(create('x', { source, memory: '128Mi', residentMemory: '129Mi' })).rejects.toMatchObject(refused('spec.residentMemory', 'FieldValueInvalid'));
    await create('resident', { source, residentMemory: '192Mi' });
  });

  it('that names no budget of resident memory gets its image’s, unless its memory is less', async () => {
    const source = { image: 'frugal' };
    const residentOf = async (name: string, spec: Partial<VirtualMachineSpec>) => (await create(name, { source, ...spec })).spec?.residentMemory;
    expect(await residentOf('frugal', {})).toBe('64Mi');
    expect(await residentOf('own-budget', { residentMemory: '100Mi' })).toBe('100Mi');
    expect(await residentOf('small-frugal', { memory: '64Mi' })).toBeUndefined();
    const present = await stack.admin.get(virtualMachines, 'default', 'own-budget');
    if (!present?.spec) throw new Error('it is gone');
    const { residentMemory: _own, ...spec } = present.spec;
    const replaced: VirtualMachine = await stack.admin.replace(virtualMachines, { ...present, spec });
    expect(replaced.spec?.residentMemory).toBe('64Mi');
    await expect(stack.admin.create(virtualMachineImages, anImage('too-frugal', { kernel: { url: `artifact:${'0'.repeat(64)}` }, residentMemory: '8Mi' }))).rejects.toMatchObject(refused('spec.residentMemory', 'FieldValueInvalid'));
  });

  it('selects nodes by what can be a label', async () => {
    const source = { image: 'declared' };
    await expect(create('x', { source, nodeSelector: { 'no label': 'x' } })).rejects.toMatchObject(refused('spec.nodeSelector', 'FieldValueInvalid'));
    await expect(create('x', { source, nodeSelector: { disk: 'very fast' } })).rejects.toMatchObject(refused('spec.nodeSelector.disk', 'FieldValueInvalid'));
    await create('selecting', { source, nodeSelector: { 'example.com/disk': 'fast', empty: '' } });
  });

  it('hears of every bad field at once, also of those that other objects decide about', async () => {
    const response = await stack.fetch('/apis/corral.dev/v1/namespaces/default/virtualmachines', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name: 'Not_A_Label' },
        spec: { source: { image: 'never' }, memory: '4096Mi', powerState: 'Sideways', nodeName: 'nowhere' },
      }),
    });
    const { details } = (await response.json()) as { details: { causes: { field: string }[] } };
    expect(response.status).toBe(422);
    expect(details.causes.map(({ field }) => field).sort()).toEqual(['metadata.name', 'spec.memory', 'spec.nodeName', 'spec.powerState', 'spec.source.image']);
  });

  it('may be created before its image is fetched, and waits with a reason', async () => {
    await create('early', { source: { image: 'unfetched' }, powerState: 'Running' });
    await eventually(
      async () => findCondition((await stack.admin.get(virtualMachines, 'default', 'early'))?.status?.conditions, 'Scheduled')?.reason === 'ImageNotReady',
      'it waits for its image',
    );
  });
});
