import { type Node, type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineStatus, type VmMove } from '@corral/contracts';
import fc from 'fast-check';
import { MOVE_DEADLINE_MS, planMove, type MoveObservation, type MoveStep } from './move.plan.ts';

const T0 = '2026-01-01T00:00:00Z';
const now = new Date('2026-01-01T00:00:10Z');
const condition = (type: string, status: 'True' | 'False' | 'Unknown', reason = 'Any') => ({ type, status, reason, message: '', lastTransitionTime: T0 });
const aMove = (change: Partial<VmMove> = {}): VmMove => ({ reason: 'Drained', from: 'n1', incarnation: 2, requestedAt: T0, ...change });
const held: VirtualMachineStatus = { phase: 'Paused', nodeName: 'n1', incarnation: 2, conditions: [condition('Ready', 'False', 'Moving')] };
const running: VirtualMachineStatus = { phase: 'Running', nodeName: 'n1', incarnation: 2, conditions: [condition('Ready', 'True')] };

const aVm = (status: VirtualMachineStatus, { powerState = 'Running', nodeName = 'n1', deleted = false } = {}): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine',
  metadata: { name: 'demo', namespace: 'default', uid: 'u', resourceVersion: '1', generation: 3, creationTimestamp: T0, ...(deleted ? { deletionTimestamp: T0 } : {}) },
  spec: { source: { image: 'i' }, powerState, restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {}, nodeName } as never,
  status,
});
const aNode = ({ unschedulable = true, ready = 'True' as 'True' | 'Unknown', noExecute = false, isEmptying = false } = {}): Node => ({
  apiVersion: 'v1', kind: 'Node',
  metadata: { name: 'n1', uid: 'n', resourceVersion: '1', generation: 1, creationTimestamp: T0 },
  spec: { unschedulable, ...(noExecute ? { taints: [{ key: 'k', effect: 'NoExecute' as const }] } : {}) },
  status: { conditions: [condition('Ready', ready)], corral: { dataPlaneUrl: '', v86Build: 'b', memoryMode: 'Copy', isEmptying } },
});
const aSnapshot = (ready: 'True' | 'False', { completed = ready === 'True', incarnation = 2 } = {}): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot',
  metadata: { name: 's', namespace: 'default', uid: 's', resourceVersion: '1', generation: 1, creationTimestamp: T0 },
  spec: { virtualMachine: 'demo', nodeName: 'n1' },
  status: { incarnation, conditions: [condition('Ready', ready)], ...(completed ? { completedAt: T0 } : {}) },
});
const plan = (change: Partial<MoveObservation> = {}): MoveStep =>
  planMove({ vm: aVm({ ...held, move: aMove() }), node: aNode(), snapshot: undefined, noPlace: undefined, now, ...change });

describe('planMove', () => {
  const named = { ...held, move: aMove({ snapshot: 's' }) };
  it.each<[string, Partial<MoveObservation>, Partial<MoveStep>]>([
    ['nothing is to move', { vm: aVm(running) }, { type: 'Nothing' }],
    ['waits until the machine stands still', { vm: aVm({ ...running, move: aMove() }) }, { type: 'Wait' }],
    ['names the snapshot before there is one', {}, { type: 'NameSnapshot' }],
    ['takes the snapshot that was named', { vm: aVm(named) }, { type: 'TakeSnapshot', name: 's' }],
    ['waits for the snapshot', { vm: aVm(named), snapshot: aSnapshot('False') }, { type: 'Wait' }],
    ['switches once every byte is safe', { vm: aVm(named), snapshot: aSnapshot('True') }, { type: 'Switch' }],
    ['stays when the snapshot fails', { vm: aVm(named), snapshot: aSnapshot('False', { completed: true }) }, { type: 'Abort', reason: 'SnapshotFailed' }],
    ['stays when nobody else has room any more', { vm: aVm(named), snapshot: aSnapshot('True'), noPlace: '0/1 nodes' }, { type: 'Abort', reason: 'NoOtherNode' }],
    ['stays when the machine went on after its snapshot', { vm: aVm({ ...running, move: aMove({ snapshot: 's' }) }), snapshot: aSnapshot('True') }, { type: 'Abort', reason: 'NotRunning' }],
    ['stays when the snapshot is of another life', { vm: aVm(named), snapshot: aSnapshot('True', { incarnation: 1 }) }, { type: 'Abort', reason: 'NotRunning' }],
    ['stays when the node is uncordoned', { vm: aVm(named), node: aNode({ unschedulable: false }), snapshot: aSnapshot('True') }, { type: 'Abort', reason: 'Uncordoned' }],
    ['stays when the taint is gone', { vm: aVm({ ...held, move: aMove({ reason: 'Tainted' }) }) }, { type: 'Abort', reason: 'Uncordoned' }],
    ['goes while the taint is there', { vm: aVm({ ...held, move: aMove({ reason: 'Tainted' }) }), node: aNode({ noExecute: true }) }, { type: 'NameSnapshot' }],
    ['stays when the node agent stays', { vm: aVm({ ...held, move: aMove({ reason: 'NodeStopping' }) }) }, { type: 'Abort', reason: 'Uncordoned' }],
    ['goes although nobody cordoned the node', { vm: aVm({ ...held, move: aMove({ reason: 'Evicted' }) }), node: aNode({ unschedulable: false }) }, { type: 'NameSnapshot' }],
    ['leaves what ended meanwhile', { vm: aVm({ ...held, incarnation: 3, move: aMove() }) }, { type: 'Abort', reason: 'NotRunning' }],
    ['leaves what is switched off', { vm: aVm({ ...held, move: aMove() }, { powerState: 'Stopped' }) }, { type: 'Abort', reason: 'NotRunning' }],
    ['leaves what is deleted', { vm: aVm({ ...held, move: aMove() }, { deleted: true }) }, { type: 'Abort', reason: 'NotRunning' }],
    ['leaves a lost node to others', { node: aNode({ ready: 'Unknown' }) }, { type: 'Nothing' }],
    ['gives up after its deadline', { now: new Date(Date.parse(T0) + MOVE_DEADLINE_MS) }, { type: 'Abort', reason: 'DeadlineExceeded' }],
  ])('%s', (_title, change, step) => {
    expect(plan(change)).toMatchObject(step);
  });

  it('switches to a machine without a node that goes on from the snapshot, with its end told', () => {
    const step = plan({ vm: aVm(named), snapshot: aSnapshot('True') });
    if (step.type !== 'Switch') throw new Error(step.type);
    expect(step.status).toMatchObject({ phase: 'Pending', incarnation: 2, continueFrom: { reason: 'Moved', snapshot: 's', incarnation: 2 }, lastTermination: { reason: 'Moved', incarnation: 2 } });
    expect(step.status).not.toHaveProperty('nodeName');
    expect(step.status).not.toHaveProperty('move');
  });

  it('never switches unless the machine stands still and its very moment is in the object store, whatever else is so', () => {
    const status = fc.constantFrom(held, running, { ...held, incarnation: 3 }, { ...held, phase: 'Failed' as const });
    const snapshot = fc.constantFrom(undefined, aSnapshot('True'), aSnapshot('False'), aSnapshot('False', { completed: true }), aSnapshot('True', { incarnation: 1 }));
    const node = fc.record({ unschedulable: fc.boolean(), noExecute: fc.boolean(), isEmptying: fc.boolean(), ready: fc.constantFrom('True' as const, 'Unknown' as const) });
    fc.assert(
      fc.property(status, snapshot, node, fc.constantFrom('Drained', 'Tainted', 'NodeStopping', 'Evicted'), fc.boolean(), (of, taken, where, reason, hasPlace) => {
        const move = aMove({ reason, ...(taken ? { snapshot: 's' } : {}) });
        const step = plan({ vm: aVm({ ...of, move }), snapshot: taken, node: aNode(where), noPlace: hasPlace ? undefined : 'none' });
        if (step.type !== 'Switch') return;
        expect([of, taken?.status?.conditions?.[0]?.status, taken?.status?.incarnation, where.ready, hasPlace]).toEqual([held, 'True', 2, 'True', true]);
      }),
      { numRuns: 500 },
    );
  });
});
