import type { KubeObject } from '@corral/contracts';
import type { PlacedMachine } from '@corral/scheduling';
import { budgetOf } from './disruption-budgets.ts';

const aBudget = (spec: object, status?: object): KubeObject => ({
  apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', spec, ...(status ? { status } : {}),
  metadata: { name: 'b', namespace: 'default', uid: 'b', resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
});
const machine = (namespace: string, app: string): PlacedMachine => ({ key: `${namespace}/m`, namespace, labels: { app }, nodeName: 'n', chargedBytes: 1, priority: 0, departure: 'Move' });

it('a disruption budget covers what its selector selects in its namespace', () => {
  const { covers, disruptionsAllowed } = budgetOf(aBudget({ minAvailable: 1, selector: { matchLabels: { app: 'web' } } }, { disruptionsAllowed: 2, currentHealthy: 3 }));
  expect(disruptionsAllowed).toBe(2);
  expect([covers(machine('default', 'web')), covers(machine('default', 'db')), covers(machine('other', 'web'))]).toEqual([true, false, false]);
});

it('a budget that nobody has counted yet allows nothing, and one without a selector covers nothing', () => {
  expect(budgetOf(aBudget({ selector: {} })).disruptionsAllowed).toBe(0);
  expect(budgetOf(aBudget({ selector: {} })).covers(machine('default', 'web'))).toBe(true);
  expect(budgetOf(aBudget({})).covers(machine('default', 'web'))).toBe(false);
});
