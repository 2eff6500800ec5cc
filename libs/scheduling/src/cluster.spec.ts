import fc from 'fast-check';
import type { Node, VirtualMachine } from '@corral/contracts';
import { Cluster } from './cluster.ts';
import { chargeOf, PROCESS_OVERHEAD_BYTES } from './machine.ts';
import { machineRequest } from './request.ts';
import { schedule } from './schedule.ts';
import { aMachine, MIB, ROOM } from '../test/worlds.ts';

const metadata = (name: string, namespace?: string) => ({ name, uid: name, resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z', ...(namespace === undefined ? {} : { namespace }) });
const ready = { type: 'Ready', status: 'True' as const, reason: 'AgentReady', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
const aNodeObject = (name: string, memory: string, machines = '8', more: Partial<Node> = {}): Node => ({
  apiVersion: 'v1', kind: 'Node', metadata: { ...metadata(name), labels: { zone: 'a' } }, spec: {},
  status: { conditions: [ready], allocatable: { memory, 'corral.dev/machines': machines }, corral: { dataPlaneUrl: '', v86Build: 'b', memoryMode: 'Copy', images: ['tiny'], snapshots: ['s1'] } },
  ...more,
});
const aVm = (name: string, spec: Partial<NonNullable<VirtualMachine['spec']>>, status: VirtualMachine['status'] = {}): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: metadata(name, 'default'), status,
  spec: { source: { image: 'i' }, powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {}, ...spec },
});

describe('Cluster', () => {
  it('says the same whatever happened before: only nodes and machines as they are now count', () => {
    const change = fc.record({ name: fc.constantFrom('a', 'b', 'c'), gone: fc.boolean(), nodeName: fc.constantFrom('n1', 'n2', undefined), memory: fc.constantFrom('64Mi', '128Mi'), assume: fc.constantFrom(undefined, 'n1', 'n2') });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
        const cluster = new Cluster();
        const now = new Map<string, VirtualMachine>();
        for (const name of ['n2', 'n1']) cluster.updateNode(name, aNodeObject(name, '4Gi'));
        for (const { name, gone, nodeName, memory, assume } of changes) {
          const vm = gone ? undefined : aVm(name, { memory, ...(nodeName === undefined ? {} : { nodeName }) });
          if (vm && assume !== undefined && nodeName === undefined) {
            cluster.assume(machineRequest(vm), assume);
            cluster.forget(`default/${name}`);
          }
          cluster.updateMachine(`default/${name}`, vm);
          if (vm) now.set(name, vm);
          else now.delete(name);
        }
        for (const node of ['n1', 'n2']) {
          const here = [...now.values()].filter(({ spec }) => spec?.nodeName === node);
          const memoryBytes = here.reduce((sum, { spec }) => sum + (spec?.memory === '64Mi' ? 64 : 128) * MIB + PROCESS_OVERHEAD_BYTES, 0);
          expect(cluster.node(node)?.requested).toEqual({ memoryBytes, machines: here.length });
          expect([...cluster.machinesOn(node)].map(({ key }) => key).sort()).toEqual(here.map(({ metadata: { name } }) => `default/${name}`).sort());
        }
        expect([...cluster.machinesIn('default')]).toHaveLength([...now.values()].filter(({ spec }) => spec?.nodeName !== undefined).length);
      }),
    );
  });

  it('is never overbooked by decisions, in whatever order bindings are assumed, seen, fail and end', () => {
    const step = fc.record({ type: fc.constantFrom('decide', 'see', 'fail', 'end'), which: fc.nat(7), memory: fc.constantFrom('64Mi', '128Mi', '512Mi') });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const cluster = new Cluster();
        const room = { n1: 3 * ROOM, n2: ROOM, n3: 2 * ROOM };
        for (const [name, bytes] of Object.entries(room)) cluster.updateNode(name, aNodeObject(name, String(bytes), '2'));
        const bindings = new Map<string, { vm: VirtualMachine; nodeName: string }>();
        for (const { type, which, memory } of steps) {
          const key = `default/m${which}`;
          const binding = bindings.get(key);
          if (type === 'decide' && !binding) {
            const vm = aVm(`m${which}`, { memory });
            const placement = schedule(machineRequest(vm), cluster);
            if (placement.outcome === 'Unschedulable') continue;
            cluster.assume(machineRequest(vm), placement.nodeName);
            bindings.set(key, { vm, nodeName: placement.nodeName });
          } else if (type === 'see' && binding?.vm.spec) {
            cluster.updateMachine(key, { ...binding.vm, spec: { ...binding.vm.spec, nodeName: binding.nodeName } });
          } else if (binding) {
            cluster.forget(key);
            cluster.updateMachine(key, undefined);
            bindings.delete(key);
          }
          for (const [name, bytes] of Object.entries(room)) {
            const here = [...bindings.values()].filter(({ nodeName }) => nodeName === name);
            expect(here.length).toBeLessThanOrEqual(2);
            expect(here.reduce((sum, { vm }) => sum + chargeOf(machineRequest(vm)), 0)).toBeLessThanOrEqual(bytes);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('sees nodes as they report themselves', () => {
    const cluster = new Cluster();
    cluster.updateNode('n', aNodeObject('n', '4Gi'));
    expect(cluster.nodes).toMatchObject([{ name: 'n', ready: true, cordoned: false, labels: { zone: 'a' }, v86Build: 'b', images: new Set(['tiny']), snapshots: new Set(['s1']), allocatable: { memoryBytes: 4 * 2 ** 30, machines: 8 } }]);
    cluster.updateNode('n', { ...aNodeObject('n', '4Gi'), status: { conditions: [{ ...ready, status: 'Unknown' }] } });
    expect(cluster.nodes).toMatchObject([{ ready: false, allocatable: { memoryBytes: 0 } }]);
    cluster.updateNode('n', undefined);
    expect(cluster.nodes).toEqual([]);
  });

  it('keeps the room that is made for a machine from those less important, until it has its place', () => {
    const cluster = new Cluster();
    cluster.updateNode('n', aNodeObject('n', String(ROOM)));
    const [high, low] = [aMachine({ key: 'default/high', priority: 10 }), aMachine({ key: 'default/low' })];
    cluster.nominate('default/high', { nodeName: 'n', machine: high });
    expect(schedule(low, cluster).outcome).toBe('Unschedulable');
    expect(schedule(high, cluster)).toMatchObject({ nodeName: 'n' });
    expect(schedule({ ...low, priority: 11 }, cluster)).toMatchObject({ nodeName: 'n' });
    expect(cluster.updateMachine('default/high', undefined)).toEqual(['NominationEnded']);
    expect(schedule(low, cluster)).toMatchObject({ nodeName: 'n' });
  });

  it('tells what of a change may help those that wait', () => {
    const cluster = new Cluster();
    expect(cluster.updateNode('n', aNodeObject('n', '1Gi'))).toEqual(['NodeAdded']);
    expect(cluster.updateNode('n', aNodeObject('n', '1Gi'))).toEqual([]);
    expect(cluster.updateNode('n', aNodeObject('n', '2Gi'))).toEqual(['NodeGrew']);
    expect(cluster.updateNode('n', aNodeObject('n', '1Gi', '8', { spec: { unschedulable: true, taints: [{ key: 'k', effect: 'NoSchedule' }] } }))).toEqual(['NodeTaintsChanged']);
    expect(cluster.updateNode('n', aNodeObject('n', '1Gi'))).toEqual(['NodeUncordoned', 'NodeTaintsChanged']);
    expect(cluster.updateMachine('default/a', aVm('a', { nodeName: 'n' }))).toEqual(['MachineCounted']);
    expect(cluster.updateMachine('default/a', aVm('a', { nodeName: 'n' }, { phase: 'Running', incarnation: 1 }))).toEqual(['DepartureChanged']);
    expect(cluster.updateMachine('default/a', aVm('a', { nodeName: 'n' }, { phase: 'Running', incarnation: 1, residentBytes: 5 }))).toEqual([]);
    expect([cluster.hasBelow(0), cluster.hasBelow(1)]).toEqual([false, true]);
    expect(cluster.updateMachine('default/a', aVm('a', {}))).toEqual(['MachineLeft']);
    expect(cluster.hasBelow(1)).toBe(false);
    expect(cluster.updateMachine('default/b', aVm('b', {}))).toEqual([]);
  });
});

describe('machineRequest', () => {
  it('asks for the memory of the spec, else of the source', () => {
    expect(machineRequest(aVm('a', { memory: '64Mi' }), { memoryMiB: 512 }).memoryBytes).toBe(64 * MIB);
    expect(machineRequest(aVm('a', {}), { memoryMiB: 512 }).memoryBytes).toBe(512 * MIB);
  });
});
