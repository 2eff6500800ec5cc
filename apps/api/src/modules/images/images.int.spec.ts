import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  findCondition,
  nodes,
  toKubeTime,
  virtualMachineImages,
  virtualMachines,
  virtualMachineSnapshots,
  withCondition,
  type Condition,
  type KindDefinition,
  type KubeObject,
  type ObjectClient,
  type VirtualMachineImage,
  type VirtualMachineImageSpec,
} from '@corral/contracts';
import { ObjectStore } from '@corral/object-store';
import type { Leadership } from '../../platform/leadership/leadership.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { blank, BOOT_CODE, BOOT_SIGNATURE, bzImage, cpio } from '../../../test/boot-bytes.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { FileServer } from '../../../test/file-server.ts';
import { anImage, aVm, edit, upload } from '../../../test/wishes.ts';
import { ArtifactStore } from '../artifacts/artifact.store.ts';
import { SnapshotData } from '../snapshots/snapshot-data.ts';
import { PackSweep } from '../snapshots/pack.sweep.ts';
import { ARTIFACT_AGE_MS, StorageSweep } from '../snapshots/storage.sweep.ts';

const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('images', () => {
  let stack: ApiStack;
  let store: ObjectStore;
  const files = new FileServer();
  beforeAll(async () => {
    stack = await startApi({ CORRAL_IMAGE_FETCH_NETWORKS: '127.0.0.1' });
    store = stack.app.get(ObjectStore);
    await files.start();
  }, 60_000);
  afterAll(async () => {
    await stack.stop();
    await files.stop();
  }, 30_000);

  const get = (name: string): Promise<VirtualMachineImage | undefined> => stack.admin.get(virtualMachineImages, undefined, name);
  const create = (name: string, spec: Partial<VirtualMachineImageSpec>): Promise<VirtualMachineImage> => stack.admin.create(virtualMachineImages, anImage(name, spec));
  const condition = (name: string, type: string, is: (condition: Condition) => boolean): Promise<Condition> =>
    eventually(async () => {
      const found = findCondition((await get(name))?.status?.conditions, type);
      return found !== undefined && is(found) && found;
    }, `${name} has ${type}: ${is.toString()}`);
  const ready = (name: string): Promise<Condition> => condition(name, 'Ready', ({ status }) => status === 'True');
  const failed = (name: string, reason: string): Promise<Condition> => condition(name, 'Ready', (found) => found.status === 'False' && found.reason === reason);
  const remove = async (name: string): Promise<void> => {
    await stack.admin.delete(virtualMachineImages, undefined, name);
    await eventually(async () => (await get(name)) === undefined, `${name} is gone`);
  };

  it('become Ready from uploads, with every artifact named by its digest', async () => {
    const [kernel, initrd] = [bzImage({ seed: 'up' }), cpio(700, 'up')];
    const [one, two] = await Promise.all([upload(stack, kernel), upload(stack, initrd)]);
    await create('uploaded', { kernel: { url: one.url }, initrd: { url: two.url }, commandLine: 'quiet' });
    await ready('uploaded');
    const image = await get('uploaded');
    expect(image?.status).toMatchObject({
      observedGeneration: image?.metadata.generation,
      artifacts: {
        kernel: { key: `artifacts/sha256/${sha256Of(kernel)}`, sha256: sha256Of(kernel), sizeBytes: kernel.length },
        initrd: { key: `artifacts/sha256/${sha256Of(initrd)}`, sha256: sha256Of(initrd), sizeBytes: 700 },
      },
      sizeBytes: kernel.length + 700,
    });
    expect(image?.status?.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(findCondition(image?.status?.conditions, 'Fetched')).toMatchObject({ status: 'True' });
  });

  it('become Ready from URLs, through redirects, and leave nothing staged', async () => {
    const floppy = blank(1_474_560, BOOT_CODE, BOOT_SIGNATURE);
    const target = files.serve('/floppy.img', floppy);
    files.answers.set('/moved', (_request, response) => response.writeHead(302, { location: target }).end());
    await create('by-url', { floppy: { url: `${files.url}/moved` } });
    await ready('by-url');
    expect((await get('by-url'))?.status?.artifacts?.floppy?.sha256).toBe(sha256Of(floppy));
    const staged = [];
    for await (const { key } of store.list('uploads/')) staged.push(key);
    expect(staged).toEqual([]);
  });

  it('do not fetch what is stored already under the digest asked for', async () => {
    const kernel = bzImage({ seed: 'known' });
    const { sha256 } = await upload(stack, kernel);
    await create('known', { kernel: { url: `${files.url}/never-asked`, sha256 } });
    await ready('known');
    expect(files.requests).not.toContain('/never-asked');
  });

  it('say DigestMismatch, keep nothing, and refuse machines', async () => {
    const kernel = bzImage({ seed: 'other' });
    const url = files.serve('/other', kernel);
    const wanted = 'f'.repeat(64);
    await create('mismatch', { kernel: { url, sha256: wanted } });
    expect((await failed('mismatch', 'DigestMismatch')).message).toContain(sha256Of(kernel));
    expect(await store.head(`artifacts/sha256/${wanted}`)).toBeUndefined();
    await expect(stack.admin.create(virtualMachines, aVm('of-mismatch', { source: { image: 'mismatch' } }))).rejects.toMatchObject({
      code: 'object.invalid',
      details: { causes: [{ field: 'spec.source.image', reason: 'FieldValueInvalid' }] },
    });
  });

  it.each<[string, Partial<VirtualMachineImageSpec>, RegExp]>([
    ['a 64-bit kernel', { kernel: { url: '/kernel64' } }, /64-bit/],
    ['a qcow2 disk', { disk: { url: '/qcow2' } }, /qcow2/],
    ['a web page', { cdrom: { url: '/page' } }, /HTML page/],
  ])('say UnsupportedFormat of %s', async (what, spec, message) => {
    files.serve('/kernel64', bzImage({ xloadflags: 1 }));
    files.serve('/qcow2', blank(4096, { at: 0, bytes: 'QFI\xfb' }));
    files.serve('/page', Buffer.from('<html><body>Not found</body></html>'));
    const absolute = Object.fromEntries(Object.entries(spec).map(([role, artifact]) => [role, { url: `${files.url}${(artifact as { url: string }).url}` }]));
    const name = what.replace(/\W+/g, '-').toLowerCase();
    await create(name, absolute);
    expect((await failed(name, 'UnsupportedFormat')).message).toMatch(message);
    expect(findCondition((await get(name))?.status?.conditions, 'Fetched')).toMatchObject({ status: 'True' });
  });

  it('say HttpStatus404, and heal once the file is there', async () => {
    await create('late', { kernel: { url: `${files.url}/late` } });
    await failed('late', 'HttpStatus404');
    files.serve('/late', bzImage({ seed: 'late' }));
    const asked = (): number => files.requests.filter((path) => path === '/late').length;
    expect(asked()).toBeLessThanOrEqual(2);
    await ready('late');
    // After a back-off, not in a tight loop.
    expect(asked()).toBeLessThanOrEqual(4);
  });

  it('say Unreachable when a source breaks off in the middle, and heal', async () => {
    const kernel = bzImage({ seed: 'half' });
    files.answers.set('/half', (_request, response) => {
      response.writeHead(200, { 'content-length': kernel.length }).write(kernel.subarray(0, 100), () => response.destroy());
    });
    await create('half', { kernel: { url: `${files.url}/half` } });
    await failed('half', 'Unreachable');
    files.serve('/half', kernel);
    await ready('half');
  });

  it('say TooLarge before a byte of it is taken', async () => {
    files.answers.set('/huge', (_request, response) => response.writeHead(200, { 'content-length': String(9 * 1024 ** 3) }).write('x'));
    await create('huge', { disk: { url: `${files.url}/huge` } });
    await failed('huge', 'TooLarge');
  });

  it.each([
    ['an address of this machine', 'http://127.0.0.2/kernel'],
    ['a metadata service', 'http://169.254.169.254/latest/meta-data'],
    ['a name that leads here', 'http://localhost:1/kernel'],
    ['an address written as a number', 'http://2130706434/kernel'],
    ['an IPv4 address in IPv6 clothes', 'http://[::ffff:10.0.0.1]/kernel'],
  ])('say AddressRefused of %s', async (what, url) => {
    // Names may resolve to 127.0.0.1, which this server allows, and to ::1, which it does not: ports nobody listens on are never reached.
    const name = what.replace(/\W+/g, '-').toLowerCase();
    await create(name, { kernel: { url } });
    const found = await condition(name, 'Ready', ({ status, reason }) => status === 'False' && reason !== 'Fetching');
    expect(url.includes('localhost') ? ['AddressRefused', 'Unreachable'] : ['AddressRefused']).toContain(found.reason);
  });

  it('say AddressRefused when a public-looking redirect leads inside', async () => {
    files.answers.set('/sly', (_request, response) => response.writeHead(301, { location: 'http://10.0.0.1/secret' }).end());
    await create('sly', { kernel: { url: `${files.url}/sly` } });
    await failed('sly', 'AddressRefused');
  });

  it('say ArtifactMissing until the upload comes', async () => {
    const kernel = bzImage({ seed: 'awaited' });
    await create('awaited', { kernel: { url: `artifact:${sha256Of(kernel)}` } });
    await failed('awaited', 'ArtifactMissing');
    await upload(stack, kernel);
    await ready('awaited');
  });

  it('are looked at anew when their spec changes', async () => {
    await create('changing', { kernel: { url: files.serve('/v1', bzImage({ seed: 'v1' })) } });
    await ready('changing');
    const before = (await get('changing'))?.status?.digest;
    await edit(stack, virtualMachineImages, undefined, 'changing', (spec) => ({ ...spec, kernel: { url: files.serve('/v2', bzImage({ seed: 'v2' })) } }));
    await eventually(async () => {
      const image = await get('changing');
      return image?.status?.digest !== before && findCondition(image?.status?.conditions, 'Ready')?.observedGeneration === image?.metadata.generation;
    }, 'the new digest');
    await ready('changing');
  });

  it('stop fetching when they are deleted', async () => {
    let closed = false;
    files.answers.set('/endless', (_request, response) => {
      response.writeHead(200).write('x');
      response.once('close', () => (closed = true));
    });
    await create('endless', { disk: { url: `${files.url}/endless` } });
    await eventually(async () => files.requests.includes('/endless'), 'the fetch');
    await remove('endless');
    await eventually(async () => closed, 'the fetch ends');
  });

  it('take only those artifacts along that no other image uses', async () => {
    const [shared, own] = [bzImage({ seed: 'shared' }), cpio(600, 'own')];
    const [kernel, initrd] = await Promise.all([upload(stack, shared), upload(stack, own)]);
    await create('leaver', { kernel: { url: kernel.url }, initrd: { url: initrd.url } });
    await create('stayer', { kernel: { url: kernel.url } });
    await Promise.all([ready('leaver'), ready('stayer')]);
    await remove('leaver');
    expect(await store.head(`artifacts/sha256/${kernel.sha256}`)).toBeDefined();
    expect(await store.head(`artifacts/sha256/${initrd.sha256}`)).toBeUndefined();
    await remove('stayer');
    expect(await store.head(`artifacts/sha256/${kernel.sha256}`)).toBeUndefined();
  });

  it('leave behind what machines and snapshots came from, and the sweep takes it once they are gone', async () => {
    const [kernel, initrd] = await Promise.all([upload(stack, bzImage({ seed: 'kept' })), upload(stack, cpio(600, 'kept'))]);
    await create('forebear', { kernel: { url: kernel.url }, initrd: { url: initrd.url } });
    await ready('forebear');
    const artifacts = (await get('forebear'))?.status?.artifacts ?? {};
    const imageParts = { artifacts, commandLine: '', guestAgent: false, acpi: false };
    const vm = await stack.admin.create(virtualMachines, aVm('heir', { source: { image: 'forebear' }, powerState: 'Stopped' }));
    const snapshot = await stack.admin.create(virtualMachineSnapshots, { metadata: { name: 'heirloom', namespace: 'default' }, spec: { virtualMachine: 'heir' } });
    const keep = async <Spec, Status>(kind: KindDefinition<Spec, Status>, { metadata: { namespace, name } }: KubeObject<Spec, Status>, parts: Status): Promise<void> => {
      await eventually(async () => {
        const object = await stack.agent.get(kind, namespace, name);
        return object && (await stack.agent.replaceStatus(kind, { ...object, status: { ...object.status, ...parts } }));
      }, `${name} says what it came from`);
    };
    await keep(virtualMachines, vm, { imageParts });
    await keep(virtualMachineSnapshots, snapshot, { imageParts });
    await remove('forebear');

    const present = async (): Promise<boolean[]> => Promise.all([kernel, initrd].map(async ({ sha256 }) => (await store.head(`artifacts/sha256/${sha256}`)) !== undefined));
    const sweep = stack.app.get(StorageSweep);
    const laterOn = new Date(Date.now() + ARTIFACT_AGE_MS + 60_000);
    await sweep.sweep(laterOn);
    expect(await present()).toEqual([true, true]);
    for (const [kind, { metadata }] of [[virtualMachines, vm], [virtualMachineSnapshots, snapshot]] as const) {
      expect(await present()).toEqual([true, true]);
      await stack.admin.delete(kind as KindDefinition, 'default', metadata.name);
      await eventually(async () => (await stack.admin.get(kind as KindDefinition, 'default', metadata.name)) === undefined, `${metadata.name} is gone`);
    }
    await sweep.sweep(new Date());
    expect(await present()).toEqual([true, true]);
    await sweep.sweep(laterOn);
    expect(await present()).toEqual([false, false]);
  });

  it('made of an old artifact while the sweep is at work keep it', async () => {
    const kernels = await Promise.all(['swept first', 'swept second'].map((seed) => upload(stack, bzImage({ seed }))));
    const artifacts = stack.app.get(ArtifactStore);
    const deleted: string[] = [];
    const slow = {
      all: (signal?: AbortSignal) => artifacts.all(signal),
      delete: async (sha256: string, signal?: AbortSignal): Promise<void> => {
        await artifacts.delete(sha256, signal);
        const other = kernels.find((kernel) => kernel.sha256 !== sha256);
        // Whichever goes first, an image is made of the other one then.
        if (other && kernels.some((kernel) => kernel.sha256 === sha256) && !(await get('in-between'))) await create('in-between', { kernel: { url: other.url } });
        deleted.push(sha256);
      },
    };
    const sweep = new StorageSweep(stack.app.get<ObjectClient>(OBJECT_CLIENT), store, stack.app.get(SnapshotData), slow as unknown as ArtifactStore, stack.app.get(PackSweep), { whileLeading: () => undefined } as unknown as Leadership);
    await sweep.sweep(new Date(Date.now() + ARTIFACT_AGE_MS + 60_000));
    expect(kernels.filter(({ sha256 }) => deleted.includes(sha256))).toHaveLength(1);
    await ready('in-between');
  });

  describe('with the guest agent', () => {
    const BAKING = 'corral-system';
    const conditionsOf = (object: KubeObject<unknown, { conditions?: Condition[] | undefined }>, status: 'True' | 'False', reason: string): Condition[] =>
      withCondition(object.status?.conditions, { type: 'Ready', status, reason }, new Date());

    /** The one object of a kind that baking made. */
    async function baked<Spec, Status>(kind: KindDefinition<Spec, Status>, image: string, except = ''): Promise<KubeObject<Spec, Status>> {
      return eventually(async () => {
        const { items } = await stack.admin.list(kind, { namespace: BAKING });
        return items.find(({ metadata }) => metadata.ownerReferences?.[0]?.name === image && metadata.deletionTimestamp === undefined && metadata.name !== except);
      }, `a ${kind.kind} is baked for ${image}`);
    }
    async function update<Spec, Status>(kind: KindDefinition<Spec, Status>, { metadata: { namespace, name } }: KubeObject, status: (object: KubeObject<Spec, Status>) => Status): Promise<void> {
      await eventually(async () => {
        const object = await stack.agent.get(kind, namespace, name);
        return object && (await stack.agent.replaceStatus(kind, { ...object, status: status(object) }));
      }, `the node writes the status of ${name}`);
    }
    /** Plays the node: the machine comes up, and its snapshot is taken. */
    async function play(image: string, except = ''): Promise<string> {
      const machine = await baked(virtualMachines, image, except);
      await eventually(async () => (await stack.admin.get(virtualMachines, BAKING, machine.metadata.name))?.spec?.nodeName, 'it is bound');
      await update(virtualMachines, machine, (vm) => ({ ...vm.status, phase: 'Running' as const, nodeName: 'baker', incarnation: 1, conditions: conditionsOf(vm, 'True', 'AgentAnswered') }));
      const snapshot = await baked(virtualMachineSnapshots, image, except);
      await eventually(async () => (await stack.admin.get(virtualMachineSnapshots, BAKING, snapshot.metadata.name))?.spec?.nodeName === 'baker', 'the node is asked for the snapshot');
      const key = `snapshots/${BAKING}/${snapshot.metadata.uid}/manifest.json`;
      await store.putStream(key, Readable.from([Buffer.from('{}')]));
      await update(virtualMachineSnapshots, snapshot, (found) => ({
        ...found.status, conditions: conditionsOf(found, 'True', 'Verified'), digest: 'd'.repeat(64), manifestKey: key, sizeBytes: 2, completedAt: toKubeTime(new Date()),
      }));
      return machine.metadata.name;
    }

    beforeAll(() => registerNode(stack.agent, 'baker', { v86Build: 'build-1' }));

    it('boot once, keep their golden snapshot, and let the machine go', async () => {
      const kernel = await upload(stack, bzImage({ seed: 'agent' }));
      await create('agented', { kernel: { url: kernel.url }, guestAgent: true, memory: '96Mi' });
      const machine = await baked(virtualMachines, 'agented');
      expect(machine.spec).toMatchObject({ source: { image: 'agented' }, memory: '96Mi', bootPolicy: 'Cold', restartPolicy: 'Never' });
      await condition('agented', 'Baked', ({ status, reason }) => status === 'False' && reason === 'Baking');
      // Ready does not wait for Baked.
      await ready('agented');
      await play('agented');
      await condition('agented', 'Baked', ({ status }) => status === 'True');
      expect((await get('agented'))?.status?.goldenSnapshots).toEqual([expect.objectContaining({ memoryMiB: 96, v86Build: 'build-1', digest: 'd'.repeat(64) })]);
      await eventually(async () => (await stack.admin.list(virtualMachines, { namespace: BAKING })).items.length === 0, 'the machine is gone');
    });

    it('are baked again when the emulator changes, and forget the old golden snapshot', async () => {
      const [old] = (await get('agented'))?.status?.goldenSnapshots ?? [];
      await update(nodes, { metadata: { name: 'baker' } } as KubeObject, (node) => ({ ...node.status, corral: { dataPlaneUrl: 'http://127.0.0.1:9', memoryMode: 'Copy' as const, v86Build: 'build-2' } }));
      const node = await stack.agent.get(nodes, undefined, 'baker');
      if (node) await stack.agent.replace(nodes, { ...node, metadata: { ...node.metadata, labels: { 'corral.dev/v86-build': 'build-2' } } });
      await play('agented');
      await eventually(async () => (await get('agented'))?.status?.goldenSnapshots?.map(({ v86Build }) => v86Build).join() === 'build-2', 'the new golden snapshot only');
      await eventually(async () => (await store.head(old?.manifestKey ?? '')) === undefined, 'the old bytes are gone');
    });

    it('say why a bake failed', async () => {
      const kernel = await upload(stack, bzImage({ seed: 'broken' }));
      await create('broken', { kernel: { url: kernel.url }, guestAgent: true });
      const machine = await baked(virtualMachines, 'broken');
      await update(virtualMachines, machine, (vm) => ({
        ...vm.status, phase: 'Failed' as const, lastTermination: { reason: 'GuestPanicked' as const, message: 'no init found', incarnation: 1, finishedAt: toKubeTime(new Date()) },
      }));
      expect((await condition('broken', 'Baked', ({ reason }) => reason === 'BakeFailed')).message).toContain('GuestPanicked: no init found');
      await ready('broken');
      await remove('broken');
    });

    it('take their golden snapshots along when they go', async () => {
      const [golden] = (await get('agented'))?.status?.goldenSnapshots ?? [];
      expect(await store.head(golden?.manifestKey ?? '')).toBeDefined();
      await remove('agented');
      expect((await stack.admin.list(virtualMachineSnapshots, { namespace: BAKING })).items).toEqual([]);
      expect(await store.head(golden?.manifestKey ?? '')).toBeUndefined();
    });
  });

  describe('artifact uploads', () => {
    const post = (bytes: Buffer, query = '', headers: Record<string, string> = {}): Promise<Response> =>
      stack.fetch(`/apis/corral.dev/v1/artifacts${query}`, { method: 'POST', body: new Uint8Array(bytes), headers });

    it('store bytes of any type as they are, and can be asked for', async () => {
      const bytes = Buffer.from('{"not": "parsed"');
      const response = await post(bytes, '', { 'content-type': 'application/json' });
      expect(response.status).toBe(201);
      expect(await response.json()).toEqual({ url: `artifact:${sha256Of(bytes)}`, sha256: sha256Of(bytes), sizeBytes: bytes.length });
      const head = await stack.fetch(`/apis/corral.dev/v1/artifacts/${sha256Of(bytes)}`, { method: 'HEAD' });
      expect([head.status, head.headers.get('x-corral-size-bytes')]).toEqual([200, String(bytes.length)]);
      expect((await stack.fetch(`/apis/corral.dev/v1/artifacts/${'0'.repeat(64)}`, { method: 'HEAD' })).status).toBe(404);
    });

    it('take more than any other body may have', async () => {
      const bytes = Buffer.alloc(20 * 1024 * 1024, 7);
      const response = await post(bytes);
      expect(response.status).toBe(201);
      expect(((await response.json()) as { sha256: string }).sha256).toBe(sha256Of(bytes));
    });

    it('refuse bytes that are not what the caller says they are', async () => {
      const response = await post(Buffer.from('these'), `?sha256=${'e'.repeat(64)}`);
      expect(response.status).toBe(422);
      expect(await response.json()).toMatchObject({ reason: 'Invalid', details: { causes: [{ field: 'sha256' }] } });
      expect(await store.head(`artifacts/sha256/${'e'.repeat(64)}`)).toBeUndefined();
      expect((await post(Buffer.from('these'), '?sha256=short')).status).toBe(422);
    });

    it('are for those who may', async () => {
      const response = await fetch(`${stack.url}/apis/corral.dev/v1/artifacts`, { method: 'POST', body: 'x' });
      expect(response.status).toBe(401);
    });
  });
});
