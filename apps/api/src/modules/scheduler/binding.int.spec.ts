import { findCondition, formatBytes, virtualMachineImages, virtualMachines, type VirtualMachine } from '@corral/contracts';
import { chargeOf, machineRequest, placedMachine, PROCESS_OVERHEAD_BYTES } from '@corral/scheduling';
import fc from 'fast-check';
import pg from 'pg';
import { eventually, startApi, type ApiPeer, type ApiStack } from '../../../test/api-stack.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';
import { Informers } from '../controllers/informers.ts';
import { ChargedStore } from '../quota/charged-store.ts';
import { Binding } from './binding.ts';

const MIB = 2 ** 20;
const ROOM = 64 * MIB + PROCESS_OVERHEAD_BYTES;

describe('binding', () => {
  let stack: ApiStack;
  let peer: ApiPeer;
  beforeAll(async () => {
    stack = await startApi();
    peer = await stack.another({ CORRAL_ROLES: 'api,controllers' });
    await addTinyImage(stack, { memory: '64Mi' });
    await eventually(async () => findCondition((await stack.admin.get(virtualMachineImages, undefined, 'tiny'))?.status?.conditions, 'Ready')?.status === 'True', 'the image is Ready');
  }, 60_000);
  afterAll(async () => {
    await peer.stop();
    await stack.stop();
  }, 60_000);

  const bindingOf = ({ app }: Pick<ApiStack, 'app'>): Binding => new Binding(app.get(ChargedStore), app.get(Informers));
  /** Machines that only this test binds. */
  const create = (name: string, spec = {}): Promise<VirtualMachine> => stack.admin.create(virtualMachines, aVm(name, { schedulerName: 'of-the-test', ...spec }));
  const boundTo = async (node: string): Promise<number> => (await stack.admin.list(virtualMachines, { fieldSelector: `spec.nodeName=${node}` })).items.length;

  it.each([
    ['memory', { memory: String(3 * ROOM), machines: 100 }],
    ['count', { memory: '8Gi', machines: 3 }],
  ])('by two processes with stale views never gives a node more than it has, by %s', async (what, options) => {
    const node = `narrow-${what}`;
    await registerNode(stack.agent, node, options);
    const machines = await Promise.all(Array.from({ length: 12 }, (_, index) => create(`racing-${what}-${index}`)));
    const bindings = [bindingOf(stack), bindingOf(peer)];
    const outcomes = await Promise.allSettled(machines.map((vm, index) => bindings[index % 2]!.bind(vm, node, undefined)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'node.full', message: expect.stringContaining(`node "${node}" has no room`) as unknown });
    expect(await boundTo(node)).toBe(3);

    // What leaves makes room for exactly one.
    const [first] = (await stack.admin.list(virtualMachines, { fieldSelector: `spec.nodeName=${node}` })).items;
    await stack.admin.delete(virtualMachines, 'default', first!.metadata.name);
    const waiting = machines.filter((_, index) => outcomes[index]?.status === 'rejected');
    const again = await Promise.allSettled(waiting.map((vm, index) => bindings[index % 2]!.bind(vm, node, undefined)));
    expect(again.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('of one machine by two processes at once leaves it on one node', async () => {
    for (const name of ['left', 'right']) await registerNode(stack.agent, name);
    const vm = await create('wanted-twice');
    const outcomes = await Promise.allSettled([bindingOf(stack).bind(vm, 'left', undefined), bindingOf(peer).bind(vm, 'right', undefined)]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'object.conflict' } });
  });

  it('by hand is refused with 409 when the node is full, at create and later, and whoever else writes is not disturbed', async () => {
    await registerNode(stack.agent, 'single', { machines: 1 });
    await create('by-hand', { nodeName: 'single' });
    const refused = { code: 'node.full' };
    const others = Array.from({ length: 5 }, (_, index) => create(`bystander-${index}`));
    await expect(create('too-many', { nodeName: 'single' })).rejects.toMatchObject(refused);
    expect(await Promise.all(others)).toHaveLength(5);
    const vm = await create('later');
    await expect(stack.admin.replace(virtualMachines, { ...vm, spec: { ...vm.spec!, nodeName: 'single' } })).rejects.toMatchObject(refused);
    const response = await stack.fetch('/apis/corral.dev/v1/namespaces/default/virtualmachines/later', {
      method: 'PATCH', headers: { 'content-type': 'application/merge-patch+json' }, body: JSON.stringify({ spec: { nodeName: 'single' } }),
    });
    expect(response.status).toBe(409);
    expect(await response.json()).toMatchObject({ reason: 'NodeFull' });
    // What is there may still be written to.
    await eventually(async () => {
      const bound = await stack.agent.get(virtualMachines, 'default', 'by-hand');
      return bound && stack.agent.replaceStatus(virtualMachines, { ...bound, status: { ...bound.status, phase: 'Running' } });
    }, 'its status is written');
  });

  it('is charged by the database as by the scheduler, for any memory', async () => {
    const client = new pg.Client({ connectionString: stack.config.databaseUrl });
    await client.connect();
    try {
      const quantity = fc.oneof(
        fc.tuple(fc.integer({ min: 0, max: 4000 }), fc.constantFrom('', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi')).map(([number, suffix]) => `${number}${suffix}`),
        fc.tuple(fc.integer({ min: 0, max: 99 }), fc.integer({ min: 0, max: 999 }), fc.constantFrom('k', 'Mi', 'Gi', 'Ki')).map(([whole, part, suffix]) => `${whole}.${part}${suffix}`),
        fc.integer({ min: 0, max: 2 ** 31 }).map((bytes) => formatBytes(bytes)),
        fc.constantFrom(undefined, '9999999999999Ti', 'none'),
      );
      await fc.assert(
        fc.asyncProperty(quantity, quantity, fc.option(fc.integer({ min: 0, max: 2047 }), { nil: undefined }), fc.constantFrom(undefined, 'Running', 'Hibernated'), async (memory, residentMemory, memoryMiB, phase) => {
          const vm = { metadata: { name: 'x' }, spec: { memory, residentMemory, nodeName: 'n' }, status: { memoryMiB, phase } } as unknown as VirtualMachine;
          const { rows } = await client.query<{ charge: string }>('SELECT corral_charge($1::json)::text AS charge', [JSON.stringify(vm)]);
          expect(Number(rows[0]?.charge)).toBe(placedMachine(vm)?.chargedBytes);
          if (phase !== 'Hibernated') expect(Number(rows[0]?.charge)).toBe(chargeOf(machineRequest(vm)));
        }),
        { numRuns: 500 },
      );
    } finally {
      await client.end();
    }
  });
});
