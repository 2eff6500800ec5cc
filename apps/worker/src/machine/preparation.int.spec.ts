import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type KindDefinition,
  type ObjectClient,
  type VirtualMachine,
  type VirtualMachineSpec,
  virtualMachineImages,
  virtualMachineSnapshots,
} from '@corral/contracts';
import { overlayPath } from '../disk-overlay.ts';
import { type HeldMoment } from '../snapshots/fork-moments.ts';
import { MachineFolder, type MachineRecord } from './machine-folder.ts';
import { Preparer } from './preparation.ts';

const imageParts = { artifacts: {}, commandLine: 'quiet', guestAgent: true, acpi: false };
const record: MachineRecord = { image: 'i', imageDigest: 'd', memoryMiB: 64, ...imageParts };

/** An API that has an image, and a snapshot with this status. */
function clientWith(snapshot: object): ObjectClient {
  const image = { metadata: { name: 'i' }, spec: { memory: '64Mi' }, status: { artifacts: {}, digest: 'd' } };
  const get = (kind: KindDefinition): Promise<unknown> => {
    if (kind.kind === virtualMachineImages.kind) return Promise.resolve(image);
    return Promise.resolve(
      kind.kind === virtualMachineSnapshots.kind ? { metadata: { name: 's' }, status: snapshot } : undefined,
    );
  };
  return { get } as unknown as ObjectClient;
}

let root: string;
let folder: MachineFolder;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'corral-preparation-'));
  folder = new MachineFolder(root, 'uid');
  await folder.create();
});
afterEach(() => rm(root, { recursive: true, force: true }));

const aVm = (spec: Partial<VirtualMachineSpec>): VirtualMachine =>
  ({ metadata: { name: 'demo' }, spec: { source: { image: 'i' }, ...spec } }) as VirtualMachine;
function preparer(snapshot: object = {}): Preparer {
  const caches = { ensure: () => Promise.reject(new Error('nothing is to be fetched')) };
  return new Preparer({
    nodeName: 'worker-1',
    forks: { find: async () => undefined },
    client: clientWith(snapshot),
    artifacts: caches as never,
    snapshots: caches as never,
    bases: { has: () => false, prepare: async () => false },
    remote: () => undefined,
    workingSet: () => undefined as never,
    packs: caches as never,
    v86Build: 'build',
  });
}

describe('A machine’s record', () => {
  it('is read as it was written', async () => {
    await folder.writeRecord(record);
    expect(await folder.record()).toEqual({ version: 1, ...record });
  });

  describe.each([
    ['of another version', JSON.stringify({ ...record, version: 2 })],
    ['of the time before image parts', JSON.stringify({ image: 'i', imageDigest: 'd', memoryMiB: 64 })],
    ['that is cut off', '{"image":'],
  ])('%s', (_title, text) => {
    beforeEach(async () => {
      await writeFile(join(folder.path, 'record.json'), text);
      await mkdir(folder.suspendedPath);
    });

    it('lets a machine without a disk start from its source', async () => {
      const prepared = await preparer().prepare(aVm({ restartPolicy: 'OnFailure' }), 'Suspended', folder);
      expect(prepared).toMatchObject({
        origin: 'Source',
        startedFrom: { type: 'Boot', name: 'i' },
        record: { image: 'i', memoryMiB: 64 },
      });
    });

    it('says what to do where the policy or a disk keeps it from starting anew', async () => {
      const refusal = { reason: 'RecordUnreadable', permanent: true };
      await expect(preparer().prepare(aVm({ restartPolicy: 'Never' }), 'Suspended', folder)).rejects.toMatchObject({
        ...refusal,
        message: expect.stringContaining('set restartPolicy to Always') as unknown,
      });
      await writeFile(overlayPath(folder.path), 'written');
      await expect(preparer().prepare(aVm({}), 'Disk', folder)).rejects.toMatchObject({
        ...refusal,
        message: expect.stringContaining('delete the machine and create it again') as unknown,
      });
    });
  });
});

describe('A snapshot', () => {
  const status = { digest: 'd', manifestKey: 'k', memoryMiB: 64, image: 'i', imageDigest: 'd', v86Build: 'build' };
  const from = (conditions: readonly object[]) =>
    preparer({ ...status, conditions }).prepare(aVm({ source: { snapshot: 's' } }), 'Source', folder);

  it('that is not Ready is waited for', async () => {
    await expect(from([{ type: 'Ready', status: 'False', reason: 'Uploading' }])).rejects.toMatchObject({
      reason: 'SnapshotNotReady',
      permanent: false,
    });
  });

  it('of an older version, that does not know what it was made of, is refused for good', async () => {
    await expect(from([{ type: 'Ready', status: 'True', reason: 'Verified' }])).rejects.toMatchObject({
      reason: 'SnapshotIncompatible',
      permanent: true,
      message: expect.stringContaining('older version') as unknown,
    });
  });
});

describe('A fork', () => {
  const fork = { virtualMachine: 'source', uid: 'source-uid', incarnation: 2, snapshot: 'moment', nodeName: 'worker-1' };
  const held = { type: 'Kept', incarnation: 2, record, directory: '', manifest: {}, digest: '' } as unknown as HeldMoment;
  /** From a moment with this status, which this node holds or does not. */
  const from = (status: object, moment?: HeldMoment) => {
    const caches = { ensure: () => Promise.reject(new Error('nothing is to be fetched')) };
    return new Preparer({
      nodeName: 'worker-1',
      forks: { find: async () => moment },
      client: { get: async () => ({ metadata: { name: 'moment', uid: 'm' }, spec: { nodeName: 'worker-1' }, status }) } as unknown as ObjectClient,
      artifacts: caches as never, snapshots: caches as never, packs: caches as never,
      bases: { has: () => false, prepare: async () => false },
      remote: () => undefined, workingSet: () => undefined as never, v86Build: 'build',
    }).prepare({ ...aVm({ source: { virtualMachine: 'source' } }), status: { fork } } as VirtualMachine, 'Source', folder);
  };

  it.each<[string, object, HeldMoment | undefined]>([
    ['the moment is of another machine of that name', { virtualMachineUid: 'another', incarnation: 2 }, undefined],
    ['the moment is of another life of it', { virtualMachineUid: 'source-uid', incarnation: 3 }, undefined],
    ['what this node holds is of another life of it', { virtualMachineUid: 'source-uid' }, { ...held, incarnation: 3 }],
  ])('begins with nothing else than what was forked: %s', async (_how, status, moment) => {
    await expect(from(status, moment)).rejects.toMatchObject({ reason: 'ForkSourceChanged', permanent: true });
  });

  it('waits for a moment that is on its way', async () => {
    await expect(from({ virtualMachineUid: 'source-uid', incarnation: 2 })).rejects.toMatchObject({ reason: 'WaitingForMoment', permanent: false });
  });
});

describe('A snapshot whose base is not on this node', () => {
  const layers = ['base', 'over'].map((sha256) => ({ sha256, indexSha256: sha256 }));
  const ready = { digest: 'd', manifestKey: 'k', memoryMiB: 64, image: 'i', imageDigest: 'd', v86Build: 'build', imageParts, conditions: [{ type: 'Ready', status: 'True' }] };
  const prepared = async (isRoom: boolean): Promise<{ readonly fetched: string[]; readonly base: string | undefined }> => {
    const fetched: string[] = [];
    const manifest = { machine: { memoryMiB: 64 }, memory: { layers } };
    const { base } = await new Preparer({
      nodeName: 'worker-1',
      forks: { find: async () => undefined },
      client: clientWith(ready),
      artifacts: { ensure: async () => '' } as never,
      snapshots: {
        describe: async () => ({ directory: root, manifest }),
        complete: async (described: object, isWanted: (layer: object) => boolean = () => true) => {
          fetched.push(...layers.filter(isWanted).map(({ sha256 }) => sha256));
          return { ...described, packPath: ({ sha256 }: { sha256: string }) => sha256 };
        },
      } as never,
      bases: { has: () => false, prepare: async (_source, how) => isRoom && how?.mayBePartial === true },
      remote: () => ({ name: 'afar' }) as never,
      workingSet: () => undefined as never,
      packs: { directory: root, has: async () => false } as never,
      v86Build: 'build',
    }).prepare(aVm({ source: { snapshot: 's' } }), 'Source', folder);
    return { fetched, base: base?.name };
  };

  it('is begun with before that is, also where layers lie over it: only these are waited for', async () => {
    expect(await prepared(true)).toEqual({ fetched: ['over'], base: 'afar' });
  });

  it('is fetched whole where there is no room to hold it in memory', async () => {
    expect((await prepared(false)).fetched.slice(-2)).toEqual(['base', 'over']);
  });
});
