import type { KubeObject } from '@corral/contracts';

/**
 * A list kept current by a watch: the pure half. A shell (collection.ts) performs the effects this returns and feeds
 * what comes of them back in. Objects keep their identity while their resourceVersion does, so a row that did not
 * change is not drawn again.
 * Source: Kubernetes API concepts, "Efficient detection of changes".
 */
export interface ReflectorState<T extends KubeObject> {
  readonly phase: 'Idle' | 'Listing' | 'Watching' | 'Waiting';
  readonly objects: ReadonlyMap<string, T>;
  /** The version the next watch begins after; absent until the first list. */
  readonly cursor: string | undefined;
  /** Failures since the last success. */
  readonly failures: number;
  /** Why the last attempt failed; what is held may be old then. */
  readonly failure: WatchFailure | undefined;
}

/** The part of a Status body that decides what to do. */
export interface WatchFailure {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
}

export type ReflectorInput<T extends KubeObject> =
  | { readonly type: 'Started' }
  | { readonly type: 'Listed'; readonly items: readonly T[]; readonly resourceVersion: string }
  | { readonly type: 'ListFailed'; readonly failure: WatchFailure }
  | { readonly type: 'Changed'; readonly change: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'Bookmarked'; readonly resourceVersion: string }
  /** The server ended the watch: with a failure, or because it ends every watch some time. */
  | { readonly type: 'WatchEnded'; readonly failure: WatchFailure | undefined }
  | { readonly type: 'WaitOver' };

export type ReflectorEffect =
  | { readonly type: 'None' }
  | { readonly type: 'List' }
  | { readonly type: 'Watch'; readonly resourceVersion: string }
  | { readonly type: 'Wait'; readonly ms: number };

export const initialReflector = <T extends KubeObject>(): ReflectorState<T> => ({
  phase: 'Idle',
  objects: new Map(),
  cursor: undefined,
  failures: 0,
  failure: undefined,
});

/** What happens next. `random` in [0, 1) spreads retries, so that a thousand tabs do not come back at once. */
export function reflect<T extends KubeObject>(
  state: ReflectorState<T>,
  input: ReflectorInput<T>,
  random: number,
): readonly [ReflectorState<T>, ReflectorEffect] {
  switch (input.type) {
    case 'Started':
      return state.phase === 'Idle' ? resume(state) : [state, { type: 'None' }];
    case 'Listed':
      return watchFrom({
        ...state,
        objects: mergeList(state.objects, input.items),
        cursor: input.resourceVersion,
        failures: 0,
        failure: undefined,
      });
    case 'ListFailed':
      return waitAfter(state, input.failure, random);
    case 'Changed': {
      const objects = applyChange(state.objects, input.change, input.object);
      return [
        { ...state, objects, cursor: input.object.metadata.resourceVersion, failures: 0, failure: undefined },
        { type: 'None' },
      ];
    }
    case 'Bookmarked':
      return [{ ...state, cursor: input.resourceVersion, failures: 0, failure: undefined }, { type: 'None' }];
    case 'WatchEnded':
      if (input.failure === undefined) return resume(state);
      // The version is too old to continue from: only a new list can say what was missed.
      if (input.failure.code === GONE) {
        const forgotten = { ...state, cursor: undefined };
        return state.failures === 0
          ? [{ ...forgotten, phase: 'Listing', failures: 1 }, { type: 'List' }]
          : waitAfter(forgotten, input.failure, random);
      }
      return waitAfter(state, input.failure, random);
    case 'WaitOver':
      return resume(state);
  }
}

/** 0.25 s doubling to 10 s, each with jitter; what the caller may not do is asked again only once in a while. */
export function retryDelayMs(failures: number, random: number, code: number): number {
  if (code === 401 || code === 403) return 30_000;
  return Math.min(10_000, 250 * 2 ** Math.min(failures - 1, 10)) * (0.5 + random / 2);
}

const GONE = 410;

function resume<T extends KubeObject>(state: ReflectorState<T>): readonly [ReflectorState<T>, ReflectorEffect] {
  return state.cursor === undefined ? [{ ...state, phase: 'Listing' }, { type: 'List' }] : watchFrom(state);
}

function watchFrom<T extends KubeObject>(state: ReflectorState<T>): readonly [ReflectorState<T>, ReflectorEffect] {
  return [
    { ...state, phase: 'Watching' },
    { type: 'Watch', resourceVersion: state.cursor ?? '' },
  ];
}

function waitAfter<T extends KubeObject>(
  state: ReflectorState<T>,
  failure: WatchFailure,
  random: number,
): readonly [ReflectorState<T>, ReflectorEffect] {
  const failures = state.failures + 1;
  return [
    { ...state, phase: 'Waiting', failures, failure },
    { type: 'Wait', ms: retryDelayMs(failures, random, failure.code) },
  ];
}

/** The new list as a difference to what is held: what stayed the same stays the same object. */
function mergeList<T extends KubeObject>(held: ReadonlyMap<string, T>, items: readonly T[]): ReadonlyMap<string, T> {
  const merged = new Map(
    items.map((item) => {
      const before = held.get(item.metadata.uid);
      return [
        item.metadata.uid,
        before?.metadata.resourceVersion === item.metadata.resourceVersion ? before : item,
      ] as const;
    }),
  );
  const same = merged.size === held.size && [...merged].every(([uid, object]) => held.get(uid) === object);
  return same ? held : merged;
}

function applyChange<T extends KubeObject>(
  held: ReadonlyMap<string, T>,
  change: 'ADDED' | 'MODIFIED' | 'DELETED',
  object: T,
): ReadonlyMap<string, T> {
  const { uid, resourceVersion } = object.metadata;
  const before = held.get(uid);
  if (change === 'DELETED' ? before === undefined : before?.metadata.resourceVersion === resourceVersion) return held;
  const objects = new Map(held);
  if (change === 'DELETED') objects.delete(uid);
  else objects.set(uid, object);
  return objects;
}
