import type { ResourceQuota } from '@corral/contracts';
import { quotaLines } from './quota-lines.ts';

const quota = (spec: object, status?: object): ResourceQuota => ({ spec, status }) as unknown as ResourceQuota;

it('shows used and hard of every resource, by name, and knows which are bytes', () => {
  expect(
    quotaLines(
      quota(
        { hard: {} },
        {
          hard: {
            'requests.memory': '1Gi',
            'count/virtualmachines.corral.dev': '5',
            'corral.dev/snapshot-bytes': '10Gi',
          },
          used: { 'requests.memory': '256Mi' },
        },
      ),
    ),
  ).toEqual([
    { resource: 'corral.dev/snapshot-bytes', used: '0', hard: '10Gi', isBytes: true },
    { resource: 'count/virtualmachines.corral.dev', used: '0', hard: '5', isBytes: false },
    { resource: 'requests.memory', used: '256Mi', hard: '1Gi', isBytes: true },
  ]);
});

it('shows what was asked for while nothing is counted yet', () => {
  expect(quotaLines(quota({ hard: { pods: '3' } }))).toEqual([
    { resource: 'pods', used: '0', hard: '3', isBytes: false },
  ]);
});
