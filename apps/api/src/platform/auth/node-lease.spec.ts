import type { Lease, Node } from '@corral/contracts';
import { isNameTaken } from './node-lease.ts';

const NOW = new Date('2026-01-01T00:01:00Z');
const node = (ready: 'True' | 'False' | 'Unknown', more: object = {}): Node =>
  ({ metadata: { name: 'n', ...more }, status: { conditions: [{ type: 'Ready', status: ready, reason: 'R', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }] } }) as Node;
const lease = (secondsAgo: number, term = 40): Lease => ({ spec: { leaseDurationSeconds: term, renewTime: new Date(NOW.getTime() - secondsAgo * 1000).toISOString() } }) as Lease;

it.each([
  ['that nobody has had', undefined, undefined, false],
  ['of a node that renews its Lease', node('True'), lease(1), true],
  ['of a node that was Ready a moment ago, however old its clock says the renewal is', node('True'), lease(400), true],
  ['of a node that stopped in good order a moment ago', node('False'), lease(1), true],
  ['of a node that stopped in good order a term ago', node('False'), lease(40), false],
  ['of a silent node whose short term has run out', node('Unknown'), lease(7, 6), false],
  ['of a silent node whose term has not run out', node('Unknown'), lease(5, 6), true],
  ['of a silent node that gave itself a year', node('Unknown'), lease(41, 31_536_000), false],
  ['of a node that has never renewed', node('Unknown'), undefined, false],
  ['of a Node that is being deleted', node('True', { deletionTimestamp: '2026-01-01T00:00:59Z' }), lease(1), false],
  ['of a Node that was deleted', undefined, lease(1), false],
] as const)('a name %s', (_title, of, held, expected) => {
  expect(isNameTaken(of, held, NOW)).toBe(expected);
});
