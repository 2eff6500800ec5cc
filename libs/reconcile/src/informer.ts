import {
  type KindDefinition,
  type KubeObject,
  type ListOptions,
  type ObjectClient,
  type ObjectKey,
  Problem,
  type WatchEvent,
} from '@corral/contracts';
import { Backoff } from './backoff.ts';
import { Index } from './index-by.ts';
import { pause, systemTimers, type Timers } from './timers.ts';

export interface InformerOptions<Spec, Status> {
  readonly client: ObjectClient;
  readonly kind: KindDefinition<Spec, Status>;
  readonly options?: ListOptions;
  readonly timers?: Timers;
  readonly random?: () => number;
  /** How often everything is listed anew and handed to the listeners, in case a watch missed something; 0 for never. */
  readonly resyncMs?: number;
  onFailure?(error: unknown): void;
}

/** `origin`: whether the watch told it, or a resync came by, be it that something had been missed. */
export type ChangeListener<T> = (key: ObjectKey, object: T | undefined, origin: Origin) => void;
export type Origin = 'Change' | 'Resync';

const RECONNECT = { baseMs: 100, maxMs: 15_000 };
/** A watch that lived this long ended because servers end watches, not because something is wrong. */
const SETTLED_AFTER_MS = 5_000;

/**
 * A local copy of what the API holds, kept by list and watch. Listeners hear of every change, of every object after each
 * resync, and of nothing older than what the copy holds. It may be stale: writes go by compare-and-set.
 */
export class Informer<Spec, Status> {
  readonly #options: InformerOptions<Spec, Status>;
  readonly #timers: Timers;
  readonly #backoff: Backoff;
  readonly #objects = new Map<string, KubeObject<Spec, Status>>();
  readonly #keysByUid = new Map<string, string>();
  readonly #indexes: Index<KubeObject<Spec, Status>>[] = [];
  readonly #listeners: ChangeListener<KubeObject<Spec, Status>>[] = [];
  readonly #synced = Promise.withResolvers<undefined>();
  #hasSynced = false;
  #corrections = 0;
  /** Everything up to here is known; events that are not newer are echoes. */
  #position = 0n;
  #listNeeded = true;
  #running: Promise<void> = Promise.resolve();

  constructor(options: InformerOptions<Spec, Status>) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#backoff = new Backoff({ ...RECONNECT, random: options.random ?? Math.random });
  }

  /** Lists and watches until the signal aborts; failures are reported and tried again. */
  start(signal: AbortSignal): void {
    this.#running = Promise.all([this.#follow(signal), this.#resync(signal)]).then(() => undefined);
  }

  /** Resolves when, after the signal aborted, nothing runs any more. */
  stopped(): Promise<void> {
    return this.#running;
  }

  /** Resolves after the first complete list. */
  synced(): Promise<void> {
    return this.#synced.promise;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Objects that a resync found different from what the watch had told: each is a missed event. */
  get corrections(): number {
    return this.#corrections;
  }

  get(namespace: string | undefined, name: string): KubeObject<Spec, Status> | undefined {
    return this.#objects.get(`${namespace ?? ''}/${name}`);
  }

  getByUid(uid: string): KubeObject<Spec, Status> | undefined {
    const key = this.#keysByUid.get(uid);
    return key === undefined ? undefined : this.#objects.get(key);
  }

  list(): readonly KubeObject<Spec, Status>[] {
    return [...this.#objects.values()];
  }

  /** Finds objects by what `valueOf` says of them, e.g. the node they are bound to, without looking at all. */
  index(valueOf: (object: KubeObject<Spec, Status>) => string | undefined): (value: string) => readonly KubeObject<Spec, Status>[] {
    const index = new Index(valueOf);
    for (const [key, object] of this.#objects) index.put(key, object);
    this.#indexes.push(index);
    return (value) => index.find(value);
  }

  /** Calls for every later change; the function returned ends it. */
  onChange(listener: ChangeListener<KubeObject<Spec, Status>>): () => void {
    this.#listeners.push(listener);
    return () => {
      const index = this.#listeners.indexOf(listener);
      if (index >= 0) this.#listeners.splice(index, 1);
    };
  }

  /** Takes in the answer to an own write, so that the next look sees it even before the watch tells. Only of objects already held. */
  observe(object: KubeObject<Spec, Status>): void {
    const known = this.#objects.get(keyTextOf(object));
    if (known?.metadata.uid === object.metadata.uid && versionOf(object) > versionOf(known)) this.#put(object, 'Change');
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#listNeeded) await this.#relist(signal);
        await this.#watch(signal);
      } catch (error) {
        if (isAborted(signal)) return;
        if (error instanceof Problem && error.code === 'version.expired') this.#listNeeded = true;
        else this.#options.onFailure?.(error);
      }
      if (!isAborted(signal)) await pause(this.#timers, this.#backoff.next(''), signal);
    }
  }

  async #relist(signal: AbortSignal): Promise<void> {
    const { client, kind, options } = this.#options;
    const list = await client.list(kind, options);
    if (signal.aborted) return;
    this.#merge(list.items, BigInt(list.resourceVersion), 'Change');
    this.#listNeeded = false;
    this.#hasSynced = true;
    this.#synced.resolve(undefined);
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, kind, options } = this.#options;
    const beganAt = this.#timers.now();
    for await (const event of client.watch(kind, { ...options, resourceVersion: String(this.#position), signal })) {
      this.#backoff.forget('');
      this.#apply(event);
    }
    if (this.#timers.now() - beganAt >= SETTLED_AFTER_MS) this.#backoff.forget('');
  }

  async #resync(signal: AbortSignal): Promise<void> {
    const { client, kind, options, resyncMs = 0 } = this.#options;
    if (resyncMs <= 0) return;
    await pause(this.#timers, resyncMs, signal);
    while (!signal.aborted) {
      try {
        if (this.#hasSynced) {
          const list = await client.list(kind, options);
          if (isAborted(signal)) return;
          this.#corrections += this.#merge(list.items, BigInt(list.resourceVersion), 'Resync');
          for (const object of this.#objects.values()) this.#tell(object, object, 'Resync');
        }
      } catch (error) {
        if (isAborted(signal)) return;
        this.#options.onFailure?.(error);
      }
      await pause(this.#timers, resyncMs, signal);
    }
  }

  #apply(event: WatchEvent<KubeObject<Spec, Status>>): void {
    const version = versionOf(event.object);
    if (version <= this.#position) return;
    this.#position = version;
    if (event.type === 'ADDED' || event.type === 'MODIFIED') this.#putNewer(event.object, 'Change');
    else if (event.type === 'DELETED') this.#remove(event.object, 'Change');
  }

  /** Makes the copy what a list of version `at` says, except where the watch already knows better. Returns how much differed. */
  #merge(items: readonly KubeObject<Spec, Status>[], at: bigint, origin: Origin): number {
    let differences = 0;
    const listed = new Set(items.map(keyTextOf));
    for (const object of items) {
      // A list older than the watch may still hold what has been deleted since.
      const mayBeGone = this.#position > at && !this.#objects.has(keyTextOf(object));
      if (!mayBeGone && this.#putNewer(object, origin)) differences += 1;
    }
    for (const object of this.list()) {
      if (!listed.has(keyTextOf(object)) && versionOf(object) <= at) {
        this.#remove(object, origin);
        differences += 1;
      }
    }
    if (at > this.#position) this.#position = at;
    return differences;
  }

  #putNewer(object: KubeObject<Spec, Status>, origin: Origin): boolean {
    const known = this.#objects.get(keyTextOf(object));
    if (known && versionOf(known) >= versionOf(object)) return false;
    this.#put(object, origin);
    return true;
  }

  #put(object: KubeObject<Spec, Status>, origin: Origin): void {
    const key = keyTextOf(object);
    const previous = this.#objects.get(key);
    if (previous && previous.metadata.uid !== object.metadata.uid) this.#keysByUid.delete(previous.metadata.uid);
    this.#objects.set(key, object);
    this.#keysByUid.set(object.metadata.uid, key);
    for (const index of this.#indexes) index.put(key, object);
    this.#tell(object, object, origin);
  }

  #remove(object: KubeObject<Spec, Status>, origin: Origin): void {
    const key = keyTextOf(object);
    const known = this.#objects.get(key);
    // Deleted and created anew under one name: the news of the old one's end must not remove the new one.
    if (!known || (known.metadata.uid !== object.metadata.uid && versionOf(known) > versionOf(object))) return;
    this.#objects.delete(key);
    this.#keysByUid.delete(known.metadata.uid);
    for (const index of this.#indexes) index.remove(key);
    this.#tell(object, undefined, origin);
  }

  #tell({ metadata }: KubeObject, object: KubeObject<Spec, Status> | undefined, origin: Origin): void {
    const key = { namespace: metadata.namespace ?? '', name: metadata.name };
    for (const listener of [...this.#listeners]) listener(key, object, origin);
  }
}

const keyTextOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;
/** Versions of this API are increasing decimals (contracts, ObjectMeta). */
const versionOf = ({ metadata }: KubeObject): bigint => BigInt(metadata.resourceVersion);
/** A call, so that the compiler does not remember the answer across an await. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;
