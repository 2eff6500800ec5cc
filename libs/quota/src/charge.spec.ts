import fc from 'fast-check';
import { parseQuantity, resourceQuotas, secrets, virtualMachines, virtualMachineSnapshots, type KindDefinition, type KubeObject, type ResourceQuota, type VirtualMachine, type VirtualMachineStatus } from '@corral/contracts';
import { charge, counted, type Step } from './charge.ts';
import { mayRun } from './machine-use.ts';
import type { Counted } from './resource-use.ts';

const metadata = (name: string) => ({ name, namespace: 'team', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: '' });
const quota = (hard: Record<string, string>): ResourceQuota => counted({ apiVersion: 'v1', kind: 'ResourceQuota', metadata: metadata('q'), spec: { hard } }, []);
const asKind = (kind: object): KindDefinition => kind as KindDefinition;
const vm = (name: string, memory: string | undefined, powerState: 'Running' | 'Stopped' = 'Running', status: VirtualMachineStatus = {}, restartPolicy: 'Always' | 'OnFailure' | 'Never' = 'Always'): Counted => {
  const spec = { source: { image: 'i' }, powerState, restartPolicy, bootPolicy: 'Golden', nodeSelector: {}, ...(memory === undefined ? {} : { memory }) };
  return { kind: asKind(virtualMachines), object: { apiVersion: '', kind: '', metadata: metadata(name), spec, status } };
};
const snapshot = (name: string, sizeBytes?: number): Counted => ({ kind: asKind(virtualMachineSnapshots), object: { apiVersion: '', kind: '', metadata: metadata(name), status: sizeBytes === undefined ? {} : { sizeBytes } } });
const secret = (name: string): Counted => ({ kind: asKind(secrets), object: { apiVersion: '', kind: '', metadata: metadata(name) } as KubeObject });

const HARD = { 'count/virtualmachines.corral.dev': '6', 'requests.memory': '1Gi', pods: '4', 'corral.dev/snapshot-bytes': '100', secrets: '3', cpu: '1' };
const amounts = fc.constantFrom('64Mi', '128Mi', '0.5Gi');
const anObject = (name: string): fc.Arbitrary<Counted> =>
  fc.oneof(
    fc.tuple(amounts, fc.constantFrom('Running' as const, 'Stopped' as const)).map(([memory, state]) => vm(name, memory, state)),
    fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }).map((size) => snapshot(name, size)),
    fc.constant(secret(name)),
  );
/** Creations, changes and removals of a few names, some refusable and some not. */
const steps = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h').chain(anObject), fc.constantFrom('Put', 'Remove', 'Report')), { maxLength: 40 });

const numbers = (one: ResourceQuota): Record<string, string> => one.status?.used ?? {};

describe('a quota', () => {
  it('says after any writes what counting everything anew says', () => {
    fc.assert(
      fc.property(steps, (writes) => {
        let figures = quota(HARD);
        const stored = new Map<string, Counted>();
        for (const [counted_, action] of writes) {
          const name = counted_.object.metadata.name;
          const before = stored.get(name);
          if (before && before.kind !== counted_.kind) continue;
          const step: Step = { before, after: action === 'Remove' ? undefined : counted_, isRefusable: action === 'Put' };
          try {
            figures = charge([figures], step)[0] ?? figures;
          } catch {
            continue;
          }
          if (step.after) stored.set(name, step.after);
          else stored.delete(name);
        }
        expect(numbers(figures)).toEqual(numbers(counted(figures, [...stored.values()])));
      }),
    );
  });

  it('never lets new objects take more than its limits', () => {
    fc.assert(
      fc.property(fc.array(anObject('any'), { maxLength: 60 }), (objects) => {
        let figures = quota(HARD);
        const accepted: Counted[] = [];
        for (const one of objects) {
          try {
            figures = charge([figures], { before: undefined, after: one, isRefusable: true })[0] ?? figures;
            accepted.push(one);
          } catch (error) {
            expect(error).toMatchObject({ code: 'request.forbidden' });
          }
        }
        const used = numbers(counted(figures, accepted));
        for (const [name, limit] of Object.entries(HARD)) expect(parseQuantity(used[name] ?? '')).toBeLessThanOrEqual(parseQuantity(limit) ?? 0);
      }),
    );
  });

  it('asks for the memory of a machine that does not say it, where memory is limited', () => {
    expect(() => charge([quota({ 'requests.memory': '1Gi' })], { before: undefined, after: vm('a', undefined), isRefusable: true })).toThrow('failed quota: q: must specify requests.memory');
    expect(charge([quota({ pods: '1' })], { before: undefined, after: vm('a', undefined), isRefusable: true })).toHaveLength(1);
  });

  it('lets through what takes less, also when more is used than allowed', () => {
    const over = { ...quota({ pods: '1' }), status: { hard: { pods: '1' }, used: { pods: '3' } } };
    const [after] = charge([over], { before: vm('a', '64Mi'), after: vm('a', '64Mi', 'Stopped'), isRefusable: true });
    expect(after && numbers(after)).toEqual({ pods: '2' });
  });

  it('has figures for the kind of itself', () => expect(counted(quota({ resourcequotas: '2' }), [{ kind: asKind(resourceQuotas), object: quota({}) }]).status?.used).toEqual({ resourcequotas: '1' }));
});

describe('a machine takes memory', () => {
  const finishedAt = '';
  const ended = (reason: 'Stopped' | 'GuestPoweredOff' | 'GuestPanicked' | 'ProcessExited' | 'NodeLost', phase: 'Stopped' | 'Failed' | 'Starting', ready = reason as string): VirtualMachineStatus => ({
    phase, incarnation: 2, lastTermination: { reason, message: '', incarnation: 2, finishedAt },
    conditions: [{ type: 'Ready', status: 'False', reason: ready, message: '', lastTransitionTime: '' }],
  });
  it.each<[string, VirtualMachineStatus, 'Running' | 'Stopped', 'Always' | 'OnFailure' | 'Never', boolean]>([
    ['one that never ran and shall run', {}, 'Running', 'Always', true],
    ['one that never ran and shall not', {}, 'Stopped', 'Always', false],
    ['one that runs', { phase: 'Running', incarnation: 2 }, 'Running', 'Never', true],
    ['one that runs and shall stop', { phase: 'Running', incarnation: 2 }, 'Stopped', 'Never', true],
    ['one that was stopped', ended('Stopped', 'Stopped'), 'Stopped', 'Always', false],
    ['one that was stopped and shall run', ended('Stopped', 'Stopped'), 'Running', 'Never', true],
    ['one that powered off for good', ended('GuestPoweredOff', 'Stopped'), 'Running', 'OnFailure', false],
    ['one that powered off and starts again', ended('GuestPoweredOff', 'Stopped'), 'Running', 'Always', true],
    ['one that powered off, was switched off, and is switched on', ended('GuestPoweredOff', 'Stopped', 'Stopped'), 'Running', 'Never', true],
    ['one whose process died for good', ended('ProcessExited', 'Failed'), 'Running', 'Never', false],
    ['one whose node was lost', ended('NodeLost', 'Failed'), 'Running', 'Never', true],
    ['one that panicked and is kept for its screen', ended('GuestPanicked', 'Failed'), 'Running', 'Never', true],
    ['one that panicked and was stopped', ended('GuestPanicked', 'Stopped', 'Stopped'), 'Stopped', 'Never', false],
  ])('%s', (_title, status, powerState, policy, expected) => {
    expect(mayRun(vm('a', '64Mi', powerState, status, policy).object as VirtualMachine)).toBe(expected);
  });
});
