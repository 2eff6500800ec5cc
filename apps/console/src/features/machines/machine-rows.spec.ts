import type { VirtualMachine } from '@corral/contracts';
import fc from 'fast-check';
import { compareRows, countFacets, filterRows, rowOf, settleOrder } from './machine-rows.ts';

const NOW = new Date('2026-03-01T12:00:00Z');
const machine = (
  name: string,
  phase: 'Running' | 'Failed' | 'Starting',
  createdAt: string,
  labels = {},
): VirtualMachine => ({
  apiVersion: 'corral.dev/v1',
  kind: 'VirtualMachine',
  metadata: {
    name,
    uid: name,
    namespace: 'default',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: createdAt,
    labels,
  },
  spec: {
    source: { image: 'linux-minimal' },
    powerState: 'Running',
    restartPolicy: 'Always',
    bootPolicy: 'Golden',
    nodeSelector: {},
    nodeName: 'worker-1',
  },
  status: {
    phase,
    incarnation: 1,
    startedAt: '2026-03-01T11:59:59Z',
    memoryMiB: 128,
    conditions: [
      {
        type: 'Ready',
        status: phase === 'Running' ? 'True' : 'False',
        reason: 'R',
        message: '',
        lastTransitionTime: createdAt,
      },
    ],
  },
});
const rows = [
  machine('old', 'Running', '2026-03-01T10:00:00Z', { app: 'desk' }),
  machine('new', 'Running', '2026-03-01T11:00:00Z'),
  machine('broken', 'Failed', '2026-03-01T09:00:00Z'),
  machine('coming', 'Starting', '2026-03-01T11:30:00Z'),
].map((vm) => rowOf(vm, new Map(), undefined, NOW));

describe('machine rows', () => {
  it('come with what needs attention first, then newest', () => {
    expect([...rows].sort(compareRows).map(({ uid }) => uid)).toEqual(['broken', 'coming', 'new', 'old']);
  });

  it.each([
    ['app=desk', ['old']],
    ['status:failed', ['broken']],
    ['node:worker-1 image:linux', ['old', 'new', 'broken', 'coming']],
    ['', ['old', 'new', 'broken', 'coming']],
    ['zzz', []],
  ])('filtered by "%s" are %j', (query, names) => expect(filterRows(rows, query).map(({ uid }) => uid)).toEqual(names));

  it('are counted once each', () => {
    expect(Object.fromEntries(countFacets(rows))).toEqual({ Running: 2, Failed: 1, Changing: 1 });
  });
});

describe('settleOrder', () => {
  const uids = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'));
  it('while held, moves nothing that stays and shows nothing new or gone', () => {
    fc.assert(
      fc.property(uids, uids, (shown, right) => {
        const { order } = settleOrder(shown, right, true);
        const stays = shown.filter((uid) => right.includes(uid));
        expect(order).toEqual(shown.length === 0 ? right : stays);
      }),
    );
  });

  it('says that nothing waits exactly when the order is right', () => {
    fc.assert(
      fc.property(uids, uids, (shown, right) => {
        const { order, waiting } = settleOrder(shown, right, true);
        expect(waiting === 0).toBe(JSON.stringify(order) === JSON.stringify(right));
      }),
    );
  });

  it('when let go, is the right order', () => {
    fc.assert(
      fc.property(uids, uids, (shown, right) =>
        expect(settleOrder(shown, right, false)).toEqual({ order: right, waiting: 0 }),
      ),
    );
  });
});
