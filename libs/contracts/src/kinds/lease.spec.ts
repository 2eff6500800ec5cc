import { leases, type Lease } from './core.ts';

const lease = (spec: NonNullable<Lease['spec']>, annotations: Record<string, string> = {}): Lease => ({
  apiVersion: 'coordination.k8s.io/v1', kind: 'Lease',
  metadata: { name: 'worker-1', namespace: 'kube-node-lease', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z', annotations },
  spec,
});
const before = lease({ holderIdentity: 'worker-1', leaseDurationSeconds: 40, renewTime: '2026-01-01T00:00:00.000000Z' });

describe('a Lease is only renewed', () => {
  it.each<[string, Lease, boolean]>([
    ['when nothing else changes', lease({ ...before.spec, renewTime: '2026-01-01T00:00:10.000000Z' }), true],
    ['and not when it is not', lease({ ...before.spec }, { note: 'new' }), false],
    ['and not when it is told something else as well', lease({ ...before.spec, renewTime: '2026-01-01T00:00:10.000000Z' }, { note: 'new' }), false],
    ['and not when another holds it', lease({ ...before.spec, holderIdentity: 'worker-2', renewTime: '2026-01-01T00:00:10.000000Z' }), false],
    ['and not for another time', lease({ ...before.spec, leaseDurationSeconds: 10, renewTime: '2026-01-01T00:00:10.000000Z' }), false],
    ['and not when nobody holds it', lease({ renewTime: '2026-01-01T00:00:10.000000Z' }), false],
  ])('%s', (_what, next, isRenewal) => expect(leases.isRenewal?.(next, before)).toBe(isRenewal));
});
