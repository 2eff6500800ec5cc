import { jest } from '@jest/globals';
import { leases, nodes, type KindDefinition, type KubeObject } from '@corral/contracts';
import pg from 'pg';
import type { Sql } from './sql.ts';
import { GATHER_MS, WriteBatches } from './write-batches.ts';

const LEASES: KindDefinition = leases;
const NODES: KindDefinition = nodes;

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/** Batches over a server that carries everything out after `serverMs`; `sizes` has how many writes each statement held. */
function start(serverMs = 1) {
  const sizes: number[] = [];
  let version = 0;
  const query = async ({ values }: { values: readonly unknown[] }) => {
    const { length } = JSON.parse(String(values[0])) as unknown[];
    sizes.push(length);
    await new Promise((resolve) => setTimeout(resolve, serverMs));
    const base = version;
    return Array.from({ length }, () => ({ outcome: 'Written', version: String((version += 1)), base }));
  };
  const batches = new WriteBatches({ query } as unknown as Sql, () => undefined);
  const done: string[] = [];
  const submit = (kind: KindDefinition, current: KubeObject, next: KubeObject): void => {
    void batches.submit([{ type: 'Update', kind, current, next }]).then(() => done.push(current.metadata.name));
  };
  const renew = (name: string, holder = 'me'): void => submit(LEASES, lease(name, 'me'), lease(name, holder, 'now'));
  return { batches, sizes, done, submit, renew };
}

const objectOf = (kind: KindDefinition, name: string, rest: object): KubeObject =>
  ({ apiVersion: 'v1', kind: kind.kind, metadata: { name, uid: `uid of ${name}`, resourceVersion: '1', ...(kind.scope === 'Namespaced' ? { namespace: 'kube-node-lease' } : {}) }, ...rest }) as unknown as KubeObject;
const lease = (name: string, holderIdentity: string, renewTime = 'before'): KubeObject => objectOf(LEASES, name, { spec: { holderIdentity, renewTime } });
const node = (name: string, lastHeartbeatTime: string, status = 'True'): KubeObject =>
  objectOf(NODES, name, { spec: {}, status: { conditions: [{ type: 'Ready', status, lastHeartbeatTime, lastTransitionTime: 'then', reason: 'Any', message: '' }] } });

describe('Renewals', () => {
  it('that come within the time of gathering are one commit, and none waits longer than that', async () => {
    const { sizes, done, renew, batches } = start();
    for (let index = 0; index < 5; index += 1) {
      renew(`lease-${index}`);
      await jest.advanceTimersByTimeAsync(9);
    }
    expect([sizes, done]).toEqual([[], []]);
    await jest.advanceTimersByTimeAsync(GATHER_MS - 5 * 9 + 2);
    expect([sizes, done.length, batches.gathered]).toEqual([[5], 5, 5]);
  });

  it('go along at once with a write that somebody waits for', async () => {
    const { sizes, done, renew } = start();
    renew('one');
    renew('two', 'another');
    await jest.advanceTimersByTimeAsync(2);
    expect([sizes, done]).toEqual([[2], ['one', 'two']]);
  });

  it('that come while a batch is under way gather as well', async () => {
    const { sizes, renew } = start(20);
    renew('one', 'another');
    for (const name of ['two', 'three']) {
      await jest.advanceTimersByTimeAsync(5);
      renew(name);
    }
    await jest.advanceTimersByTimeAsync(20);
    expect(sizes).toEqual([1]);
    await jest.advanceTimersByTimeAsync(GATHER_MS);
    expect(sizes).toEqual([1, 2]);
  });

  it('do not wait when there are enough for a batch', async () => {
    const { sizes, renew } = start();
    for (let index = 0; index < 200; index += 1) renew(`lease-${index}`);
    await jest.advanceTimersByTimeAsync(2);
    expect(sizes).toEqual([200]);
  });

  it('are Leases that stay with their holder, and nodes that tell nothing but that they are there', async () => {
    const { sizes, submit, batches } = start();
    submit(NODES, node('one', 'then'), node('one', 'now'));
    await jest.advanceTimersByTimeAsync(2);
    expect(sizes).toEqual([]);
    submit(NODES, node('two', 'then'), node('two', 'now', 'False'));
    await jest.advanceTimersByTimeAsync(2);
    expect([sizes, batches.gathered]).toEqual([[2], 1]);
  });
});

describe('A batch with a write that the server refuses', () => {
  it('is written but for that one, in few round trips', async () => {
    let statements = 0;
    const query = async ({ values }: { values: readonly unknown[] }) => {
      statements += 1;
      const writes = JSON.parse(String(values[0])) as { name: string }[];
      if (writes.some(({ name }) => name === 'lease-77')) throw new pg.DatabaseError('no room', 0, 'error');
      return writes.map((_, index) => ({ outcome: 'Written', version: String(index + 1), base: 0 }));
    };
    const batches = new WriteBatches({ query } as unknown as Sql, () => undefined);
    const outcomes = Promise.allSettled(
      Array.from({ length: 128 }, (_, index) => batches.submit([{ type: 'Update', kind: LEASES, current: lease(`lease-${index}`, 'me'), next: lease(`lease-${index}`, 'you') }])),
    );
    await jest.advanceTimersByTimeAsync(GATHER_MS);
    expect((await outcomes).flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([77]);
    expect(statements).toBeLessThan(20);
  });
});
