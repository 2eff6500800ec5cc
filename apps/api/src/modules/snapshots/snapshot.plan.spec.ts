import fc from 'fast-check';
import { SNAPSHOT_DATA_FINALIZER, type Condition, type Node, type ObjectMeta, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { NODE_ANSWER_DEADLINE_MS, planSnapshot, type SnapshotObservation } from './snapshot.plan.ts';

const T0 = Date.parse('2026-01-01T00:00:00Z');
const time = (ms: number): string => new Date(T0 + ms).toISOString();
const meta = (name: string, more: Partial<ObjectMeta> = {}): ObjectMeta => ({ name, uid: `uid-${name}`, resourceVersion: '1', generation: 1, creationTimestamp: time(0), ...more });
const ready = (status: Condition['status'], reason = 'Any'): Condition => ({ type: 'Ready', status, reason, message: '', lastTransitionTime: time(0) });

const aSnapshot = (with_: { nodeName?: string; status?: VirtualMachineSnapshot['status']; metadata?: Partial<ObjectMeta> } = {}): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot',
  metadata: meta('snap', { finalizers: [SNAPSHOT_DATA_FINALIZER], ...with_.metadata }),
  spec: { virtualMachine: 'demo', ...(with_.nodeName ? { nodeName: with_.nodeName } : {}) },
  ...(with_.status ? { status: with_.status } : {}),
});
const aVm = (status: VirtualMachine['status'], metadata: Partial<ObjectMeta> = {}): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: meta('demo', metadata), ...(status ? { status } : {}),
});
const aNode = (status: Condition['status']): Node => ({ apiVersion: 'v1', kind: 'Node', metadata: meta('n1'), status: { conditions: [ready(status)] } });
const running = { phase: 'Running', nodeName: 'n1', incarnation: 3 } as const;
const observe = (with_: Partial<SnapshotObservation>): SnapshotObservation => ({ snapshot: aSnapshot(), vm: undefined, node: undefined, awaitedBy: undefined, now: new Date(T0), ...with_ });

describe('planSnapshot', () => {
  it.each<[string, Partial<SnapshotObservation>, object]>([
    ['binds to the node of a running machine', { vm: aVm(running) }, { type: 'Bind', nodeName: 'n1', virtualMachineUid: 'uid-demo' }],
    ['binds to the node of a paused machine', { vm: aVm({ ...running, phase: 'Paused' }) }, { type: 'Bind', nodeName: 'n1' }],
    ['fails without the machine', {}, { type: 'Fail', reason: 'VirtualMachineNotFound' }],
    ['fails when the machine has never started', { vm: aVm(undefined) }, { type: 'Fail', reason: 'VirtualMachineNotRunning' }],
    ['fails when the machine is stopped', { vm: aVm({ phase: 'Stopped', nodeName: 'n1', incarnation: 3 }) }, { type: 'Fail', reason: 'VirtualMachineNotRunning' }],
    ['fails when the machine is being deleted', { vm: aVm(running, { deletionTimestamp: time(0) }) }, { type: 'Fail', reason: 'VirtualMachineNotRunning' }],
    ['waits for the node that takes it', { snapshot: aSnapshot({ nodeName: 'n1', status: { conditions: [ready('False', 'Taking')] } }), node: aNode('True'), now: new Date(T0 + 1000) }, { type: 'Wait', delayMs: NODE_ANSWER_DEADLINE_MS - 1000 }],
    ['waits on though the machine is gone: the node may have taken it', { snapshot: aSnapshot({ nodeName: 'n1' }), node: aNode('True') }, { type: 'Wait' }],
    ['fails after its deadline', { snapshot: aSnapshot({ nodeName: 'n1' }), node: aNode('True'), now: new Date(T0 + NODE_ANSWER_DEADLINE_MS) }, { type: 'Fail', reason: 'DeadlineExceeded' }],
    ['fails when its node is lost', { snapshot: aSnapshot({ nodeName: 'n1' }), node: aNode('Unknown') }, { type: 'Fail', reason: 'NodeLost' }],
    ['fails when its node is gone', { snapshot: aSnapshot({ nodeName: 'n1' }) }, { type: 'Fail', reason: 'NodeLost' }],
    ['lets a node that stops finish', { snapshot: aSnapshot({ nodeName: 'n1' }), node: aNode('False') }, { type: 'Wait' }],
    ['leaves a Ready one alone', { snapshot: aSnapshot({ nodeName: 'n1', status: { conditions: [ready('True')] } }), now: new Date(T0 + 10 * NODE_ANSWER_DEADLINE_MS) }, { type: 'Nothing' }],
    ['leaves a failed one alone', { snapshot: aSnapshot({ status: { conditions: [ready('False')], completedAt: time(0) } }), vm: aVm(running) }, { type: 'Nothing' }],
    ['deletes the bytes of a deleted one', { snapshot: aSnapshot({ metadata: { deletionTimestamp: time(0) } }), vm: aVm(running) }, { type: 'DeleteData' }],
    ['deletes the bytes of one deleted while it is taken', { snapshot: aSnapshot({ nodeName: 'n1', metadata: { deletionTimestamp: time(0) } }) }, { type: 'DeleteData' }],
    ['keeps the bytes of a deleted one that a machine is to go on from', { snapshot: aSnapshot({ metadata: { deletionTimestamp: time(0) } }), awaitedBy: aVm({ phase: 'Pending', continueFrom: { reason: 'NodeLost', snapshot: 'snap', incarnation: 3 } }) }, { type: 'Keep' }],
    ['has nothing to do when others still hold a deleted one', { snapshot: aSnapshot({ metadata: { deletionTimestamp: time(0), finalizers: ['other'] } }) }, { type: 'Nothing' }],
  ])('%s', (_what, observation, expected) => {
    expect(planSnapshot(observe(observation))).toMatchObject(expected);
  });

  it('always comes to an end: some time after any observation, every snapshot is over or deleted', () => {
    const observations = fc.record({
      nodeName: fc.constantFrom('', 'n1'),
      vm: fc.constantFrom(undefined, aVm(running), aVm({ phase: 'Stopped' }), aVm(undefined)),
      node: fc.constantFrom(undefined, aNode('True'), aNode('False'), aNode('Unknown')),
      status: fc.constantFrom<VirtualMachineSnapshot['status']>(undefined, { conditions: [ready('False', 'Taking')] }, { conditions: [ready('True')] }, { conditions: [ready('False')], completedAt: time(0) }),
    });
    fc.assert(
      fc.property(observations, ({ nodeName, vm, node, status }) => {
        const late = new Date(T0 + NODE_ANSWER_DEADLINE_MS);
        const snapshot = aSnapshot({ nodeName, ...(status ? { status } : {}) });
        const step = planSnapshot({ snapshot, vm, node, awaitedBy: undefined, now: late });
        const bound = step.type === 'Bind' ? planSnapshot({ snapshot: aSnapshot({ nodeName: step.nodeName }), vm, node, awaitedBy: undefined, now: late }) : step;
        expect(['Fail', 'Nothing']).toContain(bound.type);
      }),
    );
  });
});
