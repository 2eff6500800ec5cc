import { type IntOrPercent, type PodDisruptionBudget, type VirtualMachine } from '@corral/contracts';
import fc from 'fast-check';
import { budgetStatus, grantOf } from './disruption-budget.ts';

const T0 = '2026-01-01T00:00:00Z';
const now = new Date(T0);
const aVm = (name: string, { ready = true, moving = false, labels = { app: 'a' } as Record<string, string> } = {}): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine',
  metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: T0, labels },
  spec: { source: { image: 'i' }, powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {}, nodeName: 'n' } as never,
  status: {
    phase: 'Running', incarnation: 1,
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', reason: 'Any', message: '', lastTransitionTime: T0 }],
    ...(moving ? { move: { reason: 'Evicted', from: 'n', incarnation: 1, requestedAt: T0 } } : {}),
  },
});
const aBudget = (spec: NonNullable<PodDisruptionBudget['spec']>, status?: PodDisruptionBudget['status']): PodDisruptionBudget => ({
  apiVersion: 'policy/v1', kind: 'PodDisruptionBudget',
  metadata: { name: 'b', namespace: 'default', uid: 'b', resourceVersion: '1', generation: 1, creationTimestamp: T0 },
  spec: { selector: { matchLabels: { app: 'a' } }, ...spec },
  ...(status ? { status } : {}),
});
const herd = (ready: number, notReady = 0, moving = 0): VirtualMachine[] => [
  ...Array.from({ length: ready }, (_, index) => aVm(`r${index}`)),
  ...Array.from({ length: notReady }, (_, index) => aVm(`n${index}`, { ready: false })),
  ...Array.from({ length: moving }, (_, index) => aVm(`m${index}`, { moving: true })),
];

describe('budgetStatus', () => {
  it.each<[string, { minAvailable?: IntOrPercent; maxUnavailable?: IntOrPercent }, VirtualMachine[], number]>([
    ['all but the minimum', { minAvailable: 2 }, herd(3), 1],
    ['none when too few are Ready', { minAvailable: 2 }, herd(1, 3), 0],
    ['a share rounds up', { minAvailable: '50%' }, herd(3), 1],
    ['a share of which all may be away', { maxUnavailable: '34%' }, herd(3), 2],
    ['what is not Ready counts as away', { maxUnavailable: 1 }, herd(2, 1), 0],
    ['what moves counts as away', { maxUnavailable: 1 }, herd(2, 0, 1), 0],
    ['nothing of nothing', { maxUnavailable: 1 }, [], 0],
    ['other machines do not count', { minAvailable: 1 }, [...herd(1), aVm('x', { labels: { app: 'b' } })], 0],
  ])('%s', (_title, spec, machines, allowed) => {
    expect(budgetStatus(aBudget(spec), machines, now).disruptionsAllowed).toBe(allowed);
  });

  it('forgets a grant that was used, whose machine is gone, or that is too old', () => {
    const status = { observedGeneration: 1, disruptionsAllowed: 0, disruptedPods: { r0: T0, m0: T0, gone: T0 } };
    const budget = aBudget({ minAvailable: 1 }, status);
    expect(Object.keys(budgetStatus(budget, herd(3, 0, 1), now).disruptedPods ?? {})).toEqual(['r0']);
    expect(budgetStatus(budget, herd(3, 0, 1), new Date('2026-01-01T00:02:00Z')).disruptedPods).toBeUndefined();
  });

  it('however many ask in whatever order, never lets fewer stay than the minimum', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 7 }), fc.array(fc.nat(5), { maxLength: 12 }), (ready, notReady, minAvailable, asks) => {
        const machines = herd(ready, notReady);
        let budget = aBudget({ minAvailable });
        budget = { ...budget, status: budgetStatus(budget, machines, now) };
        const gone = new Set<string>();
        for (const ask of asks) {
          const vm = machines[ask % Math.max(1, ready)];
          if (!vm || ready === 0) continue;
          const grant = grantOf(budget, vm, now);
          if (grant.outcome === 'Refused') continue;
          gone.add(vm.metadata.name);
          if (grant.outcome === 'Granted') budget = { ...budget, status: grant.status };
        }
        expect(ready - gone.size).toBeGreaterThanOrEqual(Math.min(ready, minAvailable));
      }),
    );
  });
});
