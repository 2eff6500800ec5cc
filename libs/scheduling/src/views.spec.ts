import type { Node, VirtualMachine } from '@corral/contracts';
import { PROCESS_OVERHEAD_BYTES } from './machine.ts';
import { machineRequest, nodeViews } from './views.ts';

const metadata = (name: string) => ({ name, uid: name, resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' });
const aNode = (status: Node['status'], spec: Node['spec'] = {}): Node => ({
  apiVersion: 'v1', kind: 'Node', metadata: { ...metadata('worker-1'), labels: { zone: 'a' } }, spec, ...(status ? { status } : {}),
});
const aVm = (name: string, spec: Partial<NonNullable<VirtualMachine['spec']>>): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: metadata(name),
  spec: { source: { image: 'i' }, powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {}, ...spec },
});
const ready = { type: 'Ready', status: 'True' as const, reason: 'AgentReady', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };

describe('nodeViews', () => {
  it('charges a node for every machine bound to it, and for no other', () => {
    const [view] = nodeViews(
      [aNode({ conditions: [ready], allocatable: { memory: '4Gi', 'corral.dev/machines': '8' }, corral: { dataPlaneUrl: '', v86Build: 'b', memoryMode: 'Copy' } })],
      [aVm('a', { nodeName: 'worker-1', memory: '256Mi' }), aVm('b', { nodeName: 'worker-1', memory: '64Mi', powerState: 'Stopped' }), aVm('c', { nodeName: 'worker-2' }), aVm('d', {})],
    );
    expect(view).toMatchObject({
      name: 'worker-1', ready: true, cordoned: false, labels: { zone: 'a' }, v86Build: 'b',
      allocatable: { memoryBytes: 4 * 2 ** 30, machines: 8 },
      requested: { memoryBytes: 320 * 2 ** 20 + 2 * PROCESS_OVERHEAD_BYTES, machines: 2 },
    });
  });

  it('takes a node that has reported nothing for not ready and without memory', () => {
    expect(nodeViews([aNode(undefined)], [])[0]).toMatchObject({ ready: false, allocatable: { memoryBytes: 0 } });
  });

  it('takes a node whose Ready is Unknown for not ready', () => {
    expect(nodeViews([aNode({ conditions: [{ ...ready, status: 'Unknown' }] })], [])[0]).toMatchObject({ ready: false });
  });
});

describe('machineRequest', () => {
  it('asks for the memory of the spec, else of the source', () => {
    expect(machineRequest(aVm('a', { memory: '64Mi' }), { memoryMiB: 512 }).memoryBytes).toBe(64 * 2 ** 20);
    expect(machineRequest(aVm('a', {}), { memoryMiB: 512 }).memoryBytes).toBe(512 * 2 ** 20);
  });
});
