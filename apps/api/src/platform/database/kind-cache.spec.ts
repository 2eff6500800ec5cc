import type { Change } from '@corral/api-machinery';
import { leases, type KindDefinition, type KubeObject } from '@corral/contracts';
import fc from 'fast-check';
import { KindCache } from './kind-cache.ts';
import { RecentChanges } from './recent-changes.ts';
import { weightOf } from './weight.ts';

const object = (namespace: string, name: string, labels: Record<string, string>, resourceVersion: number): KubeObject =>
  ({ apiVersion: 'v1', kind: 'Thing', metadata: { namespace, name, labels, resourceVersion: String(resourceVersion) } }) as unknown as KubeObject;

/** Found by their size, as machines are by their node. */
const THINGS: KindDefinition = {
  ...leases,
  indexedFields: ['spec.size'],
  selectableFields: { 'spec.size': ({ spec }) => (spec as { readonly size?: string } | undefined)?.size ?? '' },
};

const NAMESPACES = ['a', 'a-b', 'b'];
const step = fc.record({
  namespace: fc.constantFrom(...NAMESPACES),
  name: fc.constantFrom('x', 'x-1', 'x.1', 'y', 'z0', 'z1', 'z10'),
  labels: fc.constantFrom({}, { app: 'one' }, { app: 'two' }, { app: 'one', tier: 'db' }),
  isDeletion: fc.boolean(),
});
const query = fc.record(
  {
    namespace: fc.constantFrom(...NAMESPACES, 'none'),
    name: fc.constantFrom('x', 'z1'),
    labels: fc.constantFrom({}, { app: 'one' }, { app: 'two', tier: 'db' }),
    after: fc.record({ namespace: fc.constantFrom(...NAMESPACES), name: fc.constantFrom('x', 'x.0', 'z1', 'zz') }),
    limit: fc.integer({ min: 1, max: 5 }),
  },
  { requiredKeys: [] },
);

describe('KindCache', () => {
  it('answers every query as a sorted and filtered table would, whatever happened before', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.array(query, { maxLength: 10 }), (steps, queries) => {
        const table = new Map<string, KubeObject>();
        const cache = new KindCache(THINGS, [], 0);
        steps.forEach(({ namespace, name, labels, isDeletion }, index) => {
          const key = `${namespace}/${name}`;
          if (isDeletion && !table.has(key)) return;
          const next = object(namespace, name, labels, index + 1);
          const type = isDeletion ? 'DELETED' : table.has(key) ? 'MODIFIED' : 'ADDED';
          cache.apply({ resourceVersion: index + 1, type, resource: 'things', object: next, previous: table.get(key) });
          if (isDeletion) table.delete(key);
          else table.set(key, next);
        });
        const keyOf = ({ metadata: { namespace = '', name } }: { metadata: { namespace?: string; name: string } }) => [namespace, name] as const;
        const isBefore = ([a, b]: readonly [string, string], [c, d]: readonly [string, string]): boolean => a < c || (a === c && b < d);
        const all = [...table.values()].sort((a, b) => (isBefore(keyOf(a), keyOf(b)) ? -1 : 1));
        for (const asked of queries) {
          const { after } = asked;
          const found = all.filter(
            (one) =>
              (asked.namespace === undefined || one.metadata.namespace === asked.namespace) &&
              (asked.name === undefined || one.metadata.name === asked.name) &&
              (after === undefined || isBefore([after.namespace, after.name], keyOf(one))) &&
              Object.entries(asked.labels ?? {}).every(([key, value]) => one.metadata.labels?.[key] === value),
          );
          const page = found.slice(0, asked.limit ?? Infinity);
          expect(cache.list(asked)).toEqual({ objects: page, remaining: found.length - page.length });
        }
        for (const one of all) expect(cache.get(one.metadata.namespace ?? '', one.metadata.name)).toBe(one);
        expect(cache.weight).toBe(all.reduce((sum, one) => sum + weightOf(one), 0));
      }),
      { numRuns: 200 },
    );
  });

  it('finds by an indexed field what has that value now, in order, whatever it had before', () => {
    const sized = step.chain((one) => fc.constantFrom(undefined, 'small', 'large').map((size) => ({ ...one, size })));
    fc.assert(
      fc.property(fc.array(sized, { maxLength: 60 }), (steps) => {
        const table = new Map<string, KubeObject>();
        const cache = new KindCache(THINGS, [], 0);
        steps.forEach(({ namespace, name, isDeletion, size }, index) => {
          const uid = `${namespace}/${name}`;
          if (isDeletion && !table.has(uid)) return;
          const next = { ...object(namespace, name, {}, index + 1), spec: size === undefined ? {} : { size } };
          const one = { ...next, metadata: { ...next.metadata, uid } };
          cache.apply({ resourceVersion: index + 1, type: isDeletion ? 'DELETED' : 'MODIFIED', resource: 'things', object: one, previous: table.get(uid) });
          if (isDeletion) table.delete(uid);
          else table.set(uid, one);
        });
        for (const value of ['small', 'large']) {
          const everything = cache.list({}).objects;
          const { objects } = cache.list({ field: { field: 'spec.size', value } });
          expect(objects).toEqual(everything.filter(({ spec }) => (spec as { size?: string }).size === value));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('leaves out changes its copy was made after', () => {
    const newer = object('a', 'x', {}, 7);
    const cache = new KindCache(THINGS, [newer], 9);
    cache.apply({ resourceVersion: 5, type: 'DELETED', resource: 'things', object: newer, previous: newer });
    expect(cache.get('a', 'x')).toBe(newer);
  });
});

describe('RecentChanges', () => {
  it('knows everything after its start, and never keeps more than it may', () => {
    const run = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 20 });
    fc.assert(
      fc.property(run, fc.integer({ min: 0, max: 300 }), fc.constantFrom(undefined, 'odd', 'even'), (sizes, from, resource) => {
        const recent = new RecentChanges(0, { changes: 50, weight: 1_000_000 });
        const log: Change[] = [];
        for (const size of sizes) {
          const changes = Array.from({ length: size }, (_, index): Change => {
            const resourceVersion = log.length + index + 1;
            return { resourceVersion, type: 'ADDED', resource: resourceVersion % 2 === 0 ? 'even' : 'odd', object: object('a', `n${resourceVersion}`, {}, resourceVersion), previous: undefined };
          });
          log.push(...changes);
          recent.push(changes);
          expect(log.length - recent.start).toBeLessThanOrEqual(50);
        }
        const expected = log.filter((change) => change.resourceVersion > from && (resource === undefined || change.resource === resource)).slice(0, 10);
        expect(recent.after(from, 10, resource)).toEqual(from < recent.start ? undefined : expected);
      }),
    );
  });
});
