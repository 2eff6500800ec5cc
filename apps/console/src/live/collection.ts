import type { KubeObject } from '@corral/contracts';
import { asRefusal } from '../api/refusal.ts';
import { request } from '../api/request.ts';
import type { LiveSocket } from './live-socket.ts';
import {
  initialReflector,
  reflect,
  type ReflectorEffect,
  type ReflectorInput,
  type ReflectorState,
  type WatchFailure,
} from './reflector.ts';

/** What a page sees of a list. */
export interface CollectionView<T extends KubeObject> {
  readonly items: readonly T[];
  /** False until the first list came. */
  readonly loaded: boolean;
  readonly failure: WatchFailure | undefined;
}

interface ListBody<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[];
}

const PAGE_SIZE = 500;
/** Kept this long after its last reader left, so that going back is instant. */
const LINGER_MS = 60_000;

/** A list kept current: the shell that performs what the reflector decides. Tells its readers at most once a frame. */
export class Collection<T extends KubeObject> {
  readonly #path: string;
  readonly #live: LiveSocket;
  readonly #listeners = new Set<() => void>();
  #state: ReflectorState<T> = initialReflector<T>();
  #view: CollectionView<T> = { items: [], loaded: false, failure: undefined };
  #stopWatch: (() => void) | undefined;
  #wait: ReturnType<typeof setTimeout> | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #abort = new AbortController();
  #frame = 0;

  constructor(path: string, live: LiveSocket) {
    this.#path = path;
    this.#live = live;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    clearTimeout(this.#linger);
    if (this.#state.phase === 'Idle') this.#feed({ type: 'Started' });
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#linger = setTimeout(() => this.#pause(), LINGER_MS);
    };
  };

  view = (): CollectionView<T> => this.#view;

  /** Tries now instead of when the back-off is over. */
  retry = (): void => {
    if (this.#state.phase !== 'Waiting') return;
    clearTimeout(this.#wait);
    this.#feed({ type: 'WaitOver' });
  };

  /** Takes in the answer to a write at once; the watch brings the same again and changes nothing. */
  accept(object: T): void {
    const held = this.#state.objects.get(object.metadata.uid);
    // Of one generation, what is held may already be newer than the answer.
    if (!held || held.metadata.generation >= object.metadata.generation) return;
    const objects = new Map(this.#state.objects).set(object.metadata.uid, object);
    this.#state = { ...this.#state, objects };
    this.#publish();
  }

  /** Ends for good: nothing held, nothing running. */
  dispose(): void {
    this.#pause();
    clearTimeout(this.#linger);
    this.#state = initialReflector<T>();
  }

  #pause(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    clearTimeout(this.#wait);
    this.#stopWatch?.();
    this.#stopWatch = undefined;
    this.#state = { ...this.#state, phase: 'Idle' };
  }

  #feed(input: ReflectorInput<T>): void {
    const before = this.#state;
    const [state, effect] = reflect(before, input, Math.random());
    this.#state = state;
    if (
      state.objects !== before.objects ||
      state.failure !== before.failure ||
      (state.cursor !== undefined) !== (before.cursor !== undefined)
    )
      this.#publish();
    this.#perform(effect);
  }

  #perform(effect: ReflectorEffect): void {
    switch (effect.type) {
      case 'None':
        return;
      case 'List':
        void this.#list(this.#abort.signal);
        return;
      case 'Wait':
        this.#wait = setTimeout(() => this.#feed({ type: 'WaitOver' }), effect.ms);
        return;
      case 'Watch':
        this.#stopWatch?.();
        this.#stopWatch = this.#live.watch({
          path: this.#path,
          cursor: () => this.#state.cursor ?? '',
          received: (message) => this.#received(message.type, message.object),
        });
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    try {
      const items: T[] = [];
      let page: ListBody<T> | undefined;
      do {
        const query = new URLSearchParams({
          limit: String(PAGE_SIZE),
          ...(page?.metadata.continue ? { continue: page.metadata.continue } : {}),
        });
        page = await request<ListBody<T>>(`${this.#path}${this.#path.includes('?') ? '&' : '?'}${query}`, { signal });
        items.push(...page.items);
      } while (page.metadata.continue);
      if (!signal.aborted) this.#feed({ type: 'Listed', items, resourceVersion: page.metadata.resourceVersion });
    } catch (error) {
      if (!signal.aborted) this.#feed({ type: 'ListFailed', failure: asRefusal(error) });
    }
  }

  #received(type: string, object: unknown): void {
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
      case 'DELETED':
        return this.#feed({ type: 'Changed', change: type, object: object as T });
      case 'BOOKMARK':
        return this.#feed({ type: 'Bookmarked', resourceVersion: (object as KubeObject).metadata.resourceVersion });
      case 'ERROR':
        return this.#feed({ type: 'WatchEnded', failure: object as WatchFailure });
      default:
        return this.#feed({ type: 'WatchEnded', failure: undefined });
    }
  }

  #publish(): void {
    if (this.#frame !== 0) return;
    const publish = (): void => {
      this.#frame = 0;
      const { objects, cursor, failure } = this.#state;
      this.#view = { items: [...objects.values()], loaded: this.#view.loaded || cursor !== undefined, failure };
      this.#listeners.forEach((listener) => listener());
    };
    // A hidden tab gets no frames, but its title still counts failures.
    this.#frame = document.hidden ? Number(setTimeout(publish, 250)) : requestAnimationFrame(publish);
  }
}
