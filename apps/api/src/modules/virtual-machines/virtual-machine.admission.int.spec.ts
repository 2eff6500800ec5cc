import { findCondition, virtualMachineImages, virtualMachines, type VirtualMachineSpec } from '@corral/contracts';
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
