import type { Change } from '@corral/api-machinery';
import fc from 'fast-check';
import { ChangeSubscription, type FeedBatch } from './change-feed.ts';

const RESOURCES = ['nodes', 'virtualmachines.corral.dev'];
const never = new AbortController().signal;

/** `count` changes after `position`, of all resources in turn. */
const changesAfter = (position: number, count: number): Change[] =>
  Array.from({ length: count }, (_, index) => {
    const resourceVersion = position + index + 1;
    const object = { apiVersion: 'v1', kind: 'Node', metadata: { name: `n${resourceVersion}` } };
    return { resourceVersion, type: 'MODIFIED', resource: RESOURCES[resourceVersion % RESOURCES.length] ?? '', object: object as never, previous: undefined };
  });

/** A subscription on a feed that has told everything it was given. */
function subscribe() {
  const feed = { position: 0, isClosed: false };
  const subscription = new ChangeSubscription(() => feed.position, () => (feed.isClosed = true));
  const push = (changes: readonly Change[], isRelevant: (change: Change) => boolean = () => true): void => {
    feed.position = changes.at(-1)?.resourceVersion ?? feed.position;
    for (const change of changes.filter(isRelevant)) subscription.push(change);
  };
  return { feed, subscription, push };
}

describe('ChangeSubscription', () => {
  it('cuts off a reader that is too far behind, at a position from which it misses nothing', async () => {
    const { feed, subscription, push } = subscribe();
    while (!feed.isClosed) push(changesAfter(feed.position, 1000));
    // Whatever still arrives is after the gap.
    push(changesAfter(50_000, 1));

    const last = await subscription.next(1_000, never);
    expect(last?.changes).toHaveLength(10_000);
    expect(last?.position).toBe(last?.changes.at(-1)?.resourceVersion);
    expect(await subscription.next(1_000, never)).toBeUndefined();
  });

  it('has always told everything up to the position it names', async () => {
    const step = fc.oneof(fc.record({ push: fc.integer({ min: 1, max: 4_000 }) }), fc.constant('read' as const));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.constantFrom(undefined, ...RESOURCES), async (steps, resource) => {
        const { feed, subscription, push } = subscribe();
        const isRelevant = (change: Change): boolean => resource === undefined || change.resource === resource;
        const told: number[] = [];
        const read = async (): Promise<FeedBatch | undefined> => {
          const batch = await subscription.next(0, never);
          told.push(...(batch?.changes ?? []).map(({ resourceVersion }) => resourceVersion));
          const expected = changesAfter(0, batch?.position ?? 0).filter(isRelevant);
          if (batch) expect(told.join()).toBe(expected.map(({ resourceVersion }) => resourceVersion).join());
          return batch;
        };
        for (const step of steps) {
          if (step === 'read') await read();
          else push(changesAfter(feed.position, step.push), isRelevant);
        }
        await read();
      }),
      { numRuns: 30 },
    );
  });
});
