import type { KubeObject } from '@corral/contracts';
import fc from 'fast-check';
import { initialReflector, reflect, retryDelayMs, type ReflectorInput, type ReflectorState } from './reflector.ts';

const object = (uid: string, resourceVersion: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name: uid, uid, resourceVersion, generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
});
const versions = (state: ReflectorState<KubeObject>): Record<string, string> =>
  Object.fromEntries([...state.objects].map(([uid, { metadata }]) => [uid, metadata.resourceVersion]));
const run = (...inputs: ReflectorInput<KubeObject>[]) => {
  let result: ReturnType<typeof reflect<KubeObject>> = [initialReflector<KubeObject>(), { type: 'None' }];
  for (const input of inputs) result = reflect(result[0], input, 0.5);
  return result;
};
const started: ReflectorInput<KubeObject> = { type: 'Started' };
const listed = (resourceVersion: string, ...items: KubeObject[]): ReflectorInput<KubeObject> => ({
  type: 'Listed',
  items,
  resourceVersion,
});
const changed = (change: 'ADDED' | 'MODIFIED' | 'DELETED', of: KubeObject): ReflectorInput<KubeObject> => ({
  type: 'Changed',
  change,
  object: of,
});
const ended = (code?: number): ReflectorInput<KubeObject> => ({
  type: 'WatchEnded',
  failure: code === undefined ? undefined : { code, reason: 'Because', message: '' },
});

describe('the reflector', () => {
  it('lists first, then watches from the version of the list', () => {
    expect(run(started)[1]).toEqual({ type: 'List' });
    expect(run(started, listed('7', object('a', '3')))[1]).toEqual({ type: 'Watch', resourceVersion: '7' });
  });

  it('continues from the last change after the server ended a watch', () => {
    const [state, effect] = run(started, listed('7'), changed('ADDED', object('a', '9')), ended());
    expect(effect).toEqual({ type: 'Watch', resourceVersion: '9' });
    expect(versions(state)).toEqual({ a: '9' });
  });

  it('moves its cursor with bookmarks, so that a quiet watch does not grow old', () => {
    expect(run(started, listed('7'), { type: 'Bookmarked', resourceVersion: '50' }, ended())[1]).toEqual({
      type: 'Watch',
      resourceVersion: '50',
    });
  });

  it('lists again when its version expired, keeps showing what it has, and keeps unchanged objects as they are', () => {
    const before = run(started, listed('7', object('a', '3'), object('b', '4')))[0];
    const [during, effect] = reflect(before, ended(410), 0);
    expect(effect).toEqual({ type: 'List' });
    expect(during.objects).toBe(before.objects);
    const after = reflect(during, listed('99', object('a', '3'), object('c', '90')), 0)[0];
    expect(versions(after)).toEqual({ a: '3', c: '90' });
    expect(after.objects.get('a')).toBe(before.objects.get('a'));
  });

  it('does not spin when every list is expired by the time it is watched', () => {
    const [state] = run(started, listed('7'), ended(410));
    expect(reflect(state, ended(410), 0)[1].type).toBe('Wait');
  });

  it('says why it failed, and forgets it at the next success', () => {
    const [state, effect] = run(started, {
      type: 'ListFailed',
      failure: { code: 403, reason: 'Forbidden', message: 'no' },
    });
    expect(state.failure?.reason).toBe('Forbidden');
    expect(effect).toEqual({ type: 'Wait', ms: 30_000 });
    expect(reflect(reflect(state, { type: 'WaitOver' }, 0)[0], listed('1'), 0)[0].failure).toBeUndefined();
  });

  it('draws nothing anew when a list or a change says what is already held', () => {
    const [state] = run(started, listed('7', object('a', '3')));
    expect(reflect(state, listed('8', object('a', '3')), 0)[0].objects).toBe(state.objects);
    expect(reflect(state, changed('MODIFIED', object('a', '3')), 0)[0].objects).toBe(state.objects);
    expect(reflect(state, changed('DELETED', object('zz', '4')), 0)[0].objects).toBe(state.objects);
  });

  it('holds exactly what a server holds, whatever the order of changes, expiries and lists', () => {
    const step = fc.record({
      uid: fc.constantFrom('a', 'b', 'c'),
      what: fc.constantFrom('put', 'delete', 'expire', 'end'),
    });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const server = new Map<string, KubeObject>();
        let version = 1;
        let state = run(started, listed('1'))[0];
        for (const { uid, what } of steps) {
          version += 1;
          if (what === 'put') {
            const change = server.has(uid) ? 'MODIFIED' : 'ADDED';
            server.set(uid, object(uid, String(version)));
            state = reflect(state, changed(change, object(uid, String(version))), 0)[0];
          } else if (what === 'delete' && server.delete(uid)) {
            state = reflect(state, changed('DELETED', object(uid, String(version))), 0)[0];
          } else if (what === 'expire') {
            // Changes made while no watch was open are seen only by the list.
            server.set(uid, object(uid, String(version)));
            state = reflect(state, ended(410), 0)[0];
            state = reflect(state, listed(String(version), ...server.values()), 0)[0];
          } else {
            state = reflect(state, ended(), 0)[0];
          }
        }
        expect(versions(state)).toEqual(
          Object.fromEntries([...server].map(([key, { metadata }]) => [key, metadata.resourceVersion])),
        );
      }),
    );
  });

  it('waits longer each time, never over ten seconds', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (failures, random) => {
          const ms = retryDelayMs(failures, random, 500);
          return ms >= 125 && ms <= 10_000;
        },
      ),
    );
  });
});
