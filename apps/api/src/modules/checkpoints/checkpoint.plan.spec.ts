import fc from 'fast-check';
import { CHECKPOINT_LABEL, CheckpointPolicy, type Condition, type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineStatus } from '@corral/contracts';
import { lastSnapshot } from '../nodes/recovery.plan.ts';
import { planCheckpoints, type CheckpointObservation } from './checkpoint.plan.ts';

const T0 = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number): string => new Date(T0 + seconds * 1000).toISOString();
const ready = (status: Condition['status'], seconds = 0, reason = 'Any'): Condition => ({ type: 'Ready', status, reason, message: '', lastTransitionTime: at(seconds) });

const running: VirtualMachineStatus = { phase: 'Running', nodeName: 'n1', incarnation: 1, startedAt: at(0), conditions: [ready('True')] };
const aVm = (policy: Partial<CheckpointPolicy> | undefined, status: VirtualMachineStatus = running, deleted = false): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine',
  metadata: { name: 'demo', namespace: 'default', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: at(0), ...(deleted ? { deletionTimestamp: at(1) } : {}) },
  spec: { source: { image: 'i' }, powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {}, ...(policy ? { checkpointPolicy: CheckpointPolicy.parse(policy) } : {}) } as never,
  status,
});

interface SnapshotOptions {
  readonly state?: 'Taking' | 'Ready' | 'Failed';
  readonly checkpoint?: boolean;
  readonly incarnation?: number;
  readonly of?: string;
}
const taken = (name: string, seconds: number, { state = 'Ready', checkpoint = true, incarnation = 1, of = 'u' }: SnapshotOptions = {}): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot',
  metadata: {
    name, namespace: 'default', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: at(seconds),
    ...(checkpoint ? { labels: { [CHECKPOINT_LABEL]: 'true' }, ownerReferences: [{ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', name: 'demo', uid: of }] } : {}),
  },
  spec: { virtualMachine: 'demo' },
  status: {
    virtualMachineUid: 'u', incarnation,
    conditions: [ready(state === 'Ready' ? 'True' : 'False', seconds)],
    ...(state === 'Taking' ? {} : { completedAt: at(seconds + 1) }),
  },
});
const plan = (vm: VirtualMachine, seconds: number, snapshots: readonly VirtualMachineSnapshot[] = [], more: Partial<CheckpointObservation> = {}) =>
  planCheckpoints({ vm, snapshots, retryAt: undefined, spread: 0, now: new Date(T0 + seconds * 1000), ...more });
const minute = { everySeconds: 60 };

describe('A checkpoint is taken', () => {
  it.each<[string, boolean, VirtualMachine, number, readonly VirtualMachineSnapshot[], Partial<CheckpointObservation>?]>([
    ['when half a period has passed since the start', true, aVm(minute), 30, []],
    ['and not before', false, aVm(minute), 29, []],
    ['a period after the last', true, aVm(minute), 160, [taken('a', 100)]],
    ['and not before that', false, aVm(minute), 159, [taken('a', 100)]],
    ['counted from any snapshot of the machine: it holds as much', false, aVm(minute), 160, [taken('a', 40), taken('mine', 120, { checkpoint: false })]],
    ['though another incarnation had one just now', true, aVm(minute, { ...running, incarnation: 2 }), 100, [taken('a', 90)]],
    ['but not while one is under way, whoever asked for it', false, aVm(minute), 500, [taken('mine', 400, { checkpoint: false, state: 'Taking' })]],
    ['nor without a policy', false, aVm(undefined), 500, []],
    ['nor of what is being deleted', false, aVm(minute, running, true), 500, []],
    ['nor while the machine leaves its node', false, aVm(minute, { ...running, move: { reason: 'Drained', from: 'n1', incarnation: 1, requestedAt: at(1) } }), 500, []],
    ['nor while it has yet to go on from another', false, aVm(minute, { ...running, continueFrom: { reason: 'NodeLost', snapshot: 's', incarnation: 1 } }), 500, []],
    ['nor of a machine that does not run', false, aVm(minute, { ...running, phase: 'Stopped' }), 500, []],
    ['of a machine that was paused after its last', true, aVm(minute, { ...running, phase: 'Paused', conditions: [ready('False', 200, 'Paused')] }), 300, [taken('a', 150)]],
    ['and not again while it stands still', false, aVm(minute, { ...running, phase: 'Paused', conditions: [ready('False', 200, 'Paused')] }), 900, [taken('a', 210)]],
    ['when it has come to rest', true, aVm({ onIdle: true }, { ...running, idleSince: at(100) }), 100, []],
    ['and only once for a rest', false, aVm({ onIdle: true }, { ...running, idleSince: at(100) }), 900, [taken('a', 101)]],
    ['and by time neither, while that rest lasts', false, aVm({ ...minute, onIdle: true }, { ...running, idleSince: at(100) }), 900, [taken('a', 101)]],
    ['again after the next rest', true, aVm({ onIdle: true }, { ...running, idleSince: at(200) }), 200, [taken('a', 101)]],
    ['but not at each of many short ones', false, aVm({ onIdle: true }, { ...running, idleSince: at(110) }), 111, [taken('a', 101)]],
    ['by time too while it is used', true, aVm({ ...minute, onIdle: true }), 161, [taken('a', 101)]],
    ['after a failure no earlier than agreed', false, aVm(minute), 499, [taken('a', 100, { state: 'Failed' })], { retryAt: new Date(T0 + 500_000) }],
    ['after a failure as soon as agreed', true, aVm(minute), 500, [taken('a', 100, { state: 'Failed' })], { retryAt: new Date(T0 + 500_000) }],
  ])('%s', (_what, isTaken, vm, seconds, snapshots, ...[more]) => {
    expect(plan(vm, seconds, snapshots, more).take !== undefined).toBe(isTaken);
  });

  it('at another time for each of a fleet that started at once', () => {
    const dueAt = Array.from({ length: 100 }, (_, index) => plan(aVm(minute), 0, [], { spread: index / 100 }).lookAgainAt?.getTime() ?? 0);
    const perSecond = new Map<number, number>();
    for (const due of dueAt) perSecond.set(Math.floor(due / 1000), (perSecond.get(Math.floor(due / 1000)) ?? 0) + 1);
    expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(4);
  });
});

describe('Of checkpoints', () => {
  const removed = (...args: Parameters<typeof plan>): string[] => plan(...args).remove.map(({ metadata }) => metadata.name);
  const five = [1, 2, 3, 4, 5].map((index) => taken(`c${index}`, index * 100));

  it('as many are kept as the policy says, the newest', () => {
    expect(removed(aVm({ ...minute, keepLast: 2 }), 501, five)).toEqual(['c3', 'c2', 'c1']);
  });
  it('those that are too old go, and the plan says when the next one will be', () => {
    const vm = aVm({ everySeconds: 3600, keepForSeconds: 250 });
    const { remove, lookAgainAt } = plan(vm, 501, five);
    expect([remove.map(({ metadata }) => metadata.name), lookAgainAt]).toEqual([['c2', 'c1'], new Date(T0 + 550_000)]);
  });
  it('the newest stays, whatever its age', () => {
    expect(removed(aVm({ everySeconds: 86_400, keepForSeconds: 60, keepLast: 1 }), 9000, five)).toEqual(['c4', 'c3', 'c2', 'c1']);
  });
  it('that which the machine goes on from, or came from, stays', () => {
    const vm = aVm({ ...minute, keepLast: 1 }, { ...running, continueFrom: { reason: 'NodeLost', snapshot: 'c2', incarnation: 1 } });
    expect(removed({ ...vm, spec: { ...vm.spec, source: { snapshot: 'c3' } } as never }, 501, five)).toEqual(['c4', 'c1']);
  });
  it('nothing else is touched: what people took, what moves took, what is under way, what is another machine’s', () => {
    const others = [taken('mine', 1, { checkpoint: false }), taken('busy', 2, { state: 'Taking' }), taken('foreign', 3, { of: 'other' })];
    expect(removed(aVm({ ...minute, keepLast: 1 }), 501, [...others, ...five])).toEqual(['c4', 'c3', 'c2', 'c1']);
  });
  it('a failed one stays until there is a newer one, to say why', () => {
    expect(removed(aVm(minute), 601, [...five, taken('failed', 600, { state: 'Failed' })])).toEqual([]);
    expect(removed(aVm({ ...minute, keepLast: 6 }), 701, [...five, taken('failed', 600, { state: 'Failed' }), taken('c6', 700)])).toEqual(['failed']);
  });
});

describe('A machine with a policy', () => {
  it('always has something to be restarted from once it had a checkpoint, never more than it keeps, and one under way at most', () => {
    const steps = fc.array(fc.record({ seconds: fc.integer({ min: 1, max: 200 }), ends: fc.constantFrom('Ready', 'Failed'), rests: fc.boolean(), restarts: fc.boolean() }), { minLength: 5, maxLength: 60 });
    const policies = fc.record({ everySeconds: fc.integer({ min: 10, max: 100 }), onIdle: fc.boolean(), keepLast: fc.integer({ min: 1, max: 4 }), keepForSeconds: fc.integer({ min: 60, max: 600 }) });
    fc.assert(
      fc.property(policies, steps, (policy, schedule) => {
        let [now, incarnation, count, hadOne] = [0, 1, 0, false];
        let status: VirtualMachineStatus = running;
        let snapshots: VirtualMachineSnapshot[] = [];
        for (const { seconds, ends, rests, restarts } of schedule) {
          now += seconds;
          if (restarts) status = { ...running, incarnation: ++incarnation, startedAt: at(now) };
          if (rests) status = { ...status, idleSince: at(now) };
          const vm = aVm(policy, status);
          const { take, remove } = plan(vm, now, snapshots);
          const restartedFrom = lastSnapshot(vm, snapshots);
          expect(remove).not.toContain(restartedFrom);
          snapshots = snapshots.filter((snapshot) => !remove.includes(snapshot));
          if (take !== undefined) snapshots.push(taken(`${take}-${count++}`, now, { state: ends, incarnation }));
          hadOne ||= take !== undefined && ends === 'Ready';
          expect(lastSnapshot(vm, snapshots) !== undefined).toBe(hadOne);
          // One that a restarted machine still needs, and the last failure, come on top.
          expect(snapshots.length).toBeLessThanOrEqual(policy.keepLast + 3);
        }
      }),
    );
  });
});
