import fc from 'fast-check';
import type { Node, VirtualMachine } from '@corral/contracts';
import { PROCESS_OVERHEAD_BYTES } from './machine.ts';
import { Bookings, machineRequest, nodeViews } from './views.ts';

const metadata = (name: string) => ({ name, uid: name, resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' });
const aNode = (status: Node['status'], spec: Node['spec'] = {}): Node => ({
  apiVersion: 'v1', kind: 'Node', metadata: { ...metadata('worker-1'), labels: { zone: 'a' } }, spec, ...(status ? { status } : {}),
});
const aVm = (name: string, spec: Partial<NonNullable<VirtualMachine['spec']>>): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: metadata(name),
  spec: { source: { image: 'i' }, powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {}, ...spec },
});
const ready = { type: 'Ready', status: 'True' as const, reason: 'AgentReady', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };

function booked(...machines: VirtualMachine[]): Bookings {
  const bookings = new Bookings();
  for (const vm of machines) bookings.update(vm.metadata.uid, vm);
  return bookings;
}

describe('Bookings', () => {
  it('say the same whatever happened before: only the machines as they are now count', () => {
    const change = fc.record({
      name: fc.constantFrom('a', 'b', 'c'),
      gone: fc.boolean(),
      nodeName: fc.constantFrom('n1', 'n2', undefined),
      memory: fc.constantFrom('64Mi', '128Mi'),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
        const bookings = new Bookings();
        const now = new Map<string, VirtualMachine>();
        for (const { name, gone, nodeName, memory } of changes) {
          const vm = gone ? undefined : aVm(name, { memory, ...(nodeName === undefined ? {} : { nodeName }) });
          bookings.update(name, vm);
          if (vm) now.set(name, vm);
          else now.delete(name);
        }
        for (const node of ['n1', 'n2']) {
          const here = [...now.values()].filter(({ spec }) => spec?.nodeName === node);
          const memoryBytes = here.reduce((sum, { spec }) => sum + (spec?.memory === '64Mi' ? 64 : 128) * 2 ** 20 + PROCESS_OVERHEAD_BYTES, 0);
          expect(bookings.requestedOf(node)).toEqual({ memoryBytes, machines: here.length });
        }
      }),
    );
  });
});

describe('nodeViews', () => {
  it('charges a node for every machine bound to it, and for no other', () => {
    const [view] = nodeViews(
      [aNode({ conditions: [ready], allocatable: { memory: '4Gi', 'corral.dev/machines': '8' }, corral: { dataPlaneUrl: '', v86Build: 'b', memoryMode: 'Copy' } })],
      booked(aVm('a', { nodeName: 'worker-1', memory: '256Mi' }), aVm('b', { nodeName: 'worker-1', memory: '64Mi', powerState: 'Stopped' }), aVm('c', { nodeName: 'worker-2' }), aVm('d', {})),
    );
    expect(view).toMatchObject({
      name: 'worker-1', ready: true, cordoned: false, labels: { zone: 'a' }, v86Build: 'b',
      allocatable: { memoryBytes: 4 * 2 ** 30, machines: 8 },
      requested: { memoryBytes: 320 * 2 ** 20 + 2 * PROCESS_OVERHEAD_BYTES, machines: 2 },
    });
  });

  it('takes a node that has reported nothing for not ready and without memory', () => {
    expect(nodeViews([aNode(undefined)], new Bookings())[0]).toMatchObject({ ready: false, allocatable: { memoryBytes: 0 } });
  });

  it('takes a node whose Ready is Unknown for not ready', () => {
    expect(nodeViews([aNode({ conditions: [{ ...ready, status: 'Unknown' }] })], new Bookings())[0]).toMatchObject({ ready: false });
  });
});

describe('machineRequest', () => {
  it('asks for the memory of the spec, else of the source', () => {
    expect(machineRequest(aVm('a', { memory: '64Mi' }), { memoryMiB: 512 }).memoryBytes).toBe(64 * 2 ** 20);
    expect(machineRequest(aVm('a', {}), { memoryMiB: 512 }).memoryBytes).toBe(512 * 2 ** 20);
  });
});
