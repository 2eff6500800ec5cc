import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { nodes, virtualMachines } from '@corral/contracts';
import { type S3Request, until } from '@corral/testing';
import { jest } from '@jest/globals';
import { Corral, IMAGE, NODE_NAME, readyOf } from '../test/corral.ts';

jest.setTimeout(240_000);

/** More than start at a time. */
const NAMES = ['one', 'two', 'three', 'four'];

let corral: Corral;
beforeAll(async () => {
  corral = await Corral.start();
});
afterEach(() => corral.s3.heal());
afterAll(() => corral?.stop());

/** As if the node had never had any. */
async function restartWithEmptyCaches(): Promise<void> {
  await corral.stopWorker();
  for (const folder of ['artifacts', 'snapshots', 'packs', 'bases']) rmSync(join(corral.workerHome, folder), { recursive: true, force: true });
  corral.s3.requests.length = 0;
  corral.startWorker();
}
const createAll = () => Promise.all(NAMES.map((name) => corral.create(name, { source: { image: IMAGE }, nodeName: NODE_NAME })));
async function removeAll(): Promise<void> {
  await Promise.all(NAMES.map((name) => corral.client.delete(virtualMachines, 'default', name)));
  await until(async () => (await corral.client.list(virtualMachines, { namespace: 'default' })).items.length === 0, { timeoutMs: 60_000, what: 'the end of all machines' });
}
const isPrefetched = async (): Promise<boolean> => (await corral.client.get(nodes, undefined, NODE_NAME))?.status?.corral?.images?.includes(IMAGE) === true;
const isOfImage = ({ method, path }: S3Request): boolean => method === 'GET' && /\/(artifacts|packs|snapshots)\//.test(path);
/** Files and parts of files that were fetched more than once. */
function fetchedAgain(): string[] {
  const all = corral.s3.requests.filter(isOfImage).map(({ path, range = '' }) => `${path} ${range}`);
  return all.filter((one, at) => all.indexOf(one) !== at);
}

async function allAnswer(): Promise<void> {
  const started = await Promise.all(NAMES.map((name) => corral.ready(name)));
  for (const { status } of started) expect(status).toMatchObject({ incarnation: 1, restartCount: 0, startedFrom: { type: 'GoldenSnapshot', name: IMAGE } });
  const said = await Promise.all(NAMES.map(async (name) => (await corral.execAnywhere(name, 'hostname; cat /etc/machine-id')).stdout.trim().split('\n')));
  expect(said.map(([hostname]) => hostname)).toEqual(NAMES);
  expect(new Set(said.map(([, machineId]) => machineId)).size).toBe(NAMES.length);
}

describe('An image that a node brings to itself while machines of it already start there', () => {
  it('is fetched for all of them together, no part of it twice, and each is a machine of its own', async () => {
    await corral.stopWorker();
    await createAll();
    await restartWithEmptyCaches();
    await allAnswer();
    await until(isPrefetched, { timeoutMs: 60_000, what: 'the node tells that it has the image' });
    expect(fetchedAgain()).toEqual([]);
    await removeAll();
  });

  it('and whose bytes do not come: all say why they wait, nothing is half here, and all start once they come', async () => {
    await corral.stopWorker();
    await createAll();
    corral.s3.inject({ type: 'TruncatedDownload', afterBytes: 100_000 }, isOfImage);
    await restartWithEmptyCaches();
    await Promise.all(NAMES.slice(0, 2).map((name) => corral.when(name, 'waiting for the image', (vm) => readyOf(vm)?.reason === 'StorageUnreachable')));
    await until(async () => !(await isPrefetched()), { timeoutMs: 60_000, what: 'the node tells that it has not' });
    corral.s3.heal();
    await allAnswer();
    await until(isPrefetched, { timeoutMs: 60_000, what: 'the node tells that it has the image' });
    await removeAll();
  });
});
