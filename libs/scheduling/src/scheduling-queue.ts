import type { ClusterEvent } from './cluster-event.ts';
import { DueTimes } from './due-times.ts';

/** Wait before another try after `attempts` failed ones: 1 s, doubled up to 10 s. Source: Kubernetes, podInitialBackoffSeconds and podMaxBackoffSeconds. */
export const backoffMs = (attempts: number): number => Math.min(10_000, 1_000 * 2 ** Math.min(attempts - 1, 10));
/** However little happens, nothing waits longer before it is tried again. Source: Kubernetes, podMaxInUnschedulablePodsDuration. */
export const FLUSH_MS = 5 * 60_000;
/** Of so many turns one goes to whoever has been ready the longest, whatever its priority: so everybody's comes. */
export const FAIR_TURN = 16;

interface Entry {
  readonly key: string;
  priority: number;
  attempts: number;
  triedAt: number;
  state: 'Ready' | 'BackingOff' | 'Waiting' | 'InFlight';
  /** While Waiting: what may help. */
  helpedBy: ReadonlySet<ClusterEvent>;
  /** Wanted again while it was in flight. */
  isWanted: boolean;
}

/**
 * Machines that want a place. Ready ones are taken by priority, then in the order they became ready. A machine that fits
 * nowhere waits for an event that may help, and then at least until its back-off is over.
 * Source: k8s.io/kubernetes/pkg/scheduler/backend/queue, PriorityQueue.
 */
export class SchedulingQueue {
  readonly #clock: { now(): number };
  readonly #entries = new Map<string, Entry>();
  /** Ready keys by priority, each in order of arrival; and all of them in order of arrival. */
  readonly #ready = new Map<number, Set<string>>();
  readonly #order = new Set<string>();
  readonly #backingOff = new DueTimes();
  readonly #flushes = new DueTimes();
  #turn = 0;

  /** `now` in milliseconds, on a clock that never goes back. */
  constructor(clock: { now(): number }) {
    this.#clock = clock;
  }

  get counts(): { readonly ready: number; readonly backingOff: number; readonly waiting: number; readonly inFlight: number } {
    const [ready, backingOff, waiting] = [this.#order.size, this.#backingOff.size, this.#flushes.size];
    return { ready, backingOff, waiting, inFlight: this.#entries.size - ready - backingOff - waiting };
  }

  /** A machine that wants a place, or one whose own wishes changed: what kept it from a place may be over. */
  add(key: string, priority: number): void {
    const known = this.#entries.get(key);
    if (!known) {
      const entry: Entry = { key, priority, attempts: 0, triedAt: -Infinity, state: 'Ready', helpedBy: new Set(), isWanted: false };
      this.#entries.set(key, entry);
      this.#makeReady(entry);
      return;
    }
    if (known.state === 'Ready' && known.priority !== priority) {
      this.#leaveState(known);
      known.priority = priority;
      this.#makeReady(known);
      return;
    }
    known.priority = priority;
    this.wake(key);
  }

  /** Something has happened that is about this machine alone. */
  wake(key: string): void {
    const entry = this.#entries.get(key);
    if (entry?.state === 'Waiting') this.#tryAgain(entry);
    else if (entry?.state === 'InFlight') entry.isWanted = true;
  }

  /** Something has happened that may help some of those that wait. */
  happened(events: readonly ClusterEvent[]): void {
    if (events.length === 0 || this.#flushes.size === 0) return;
    for (const entry of this.#entries.values()) {
      if (entry.state === 'Waiting' && events.some((event) => entry.helpedBy.has(event))) this.#tryAgain(entry);
    }
  }

  /** It has its place, or wants none any more. */
  remove(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#leaveState(entry);
    this.#entries.delete(key);
  }

  /** Whose turn it is. Whoever takes a key owes `remove`, `reject` or `retry`. */
  take(): string | undefined {
    this.#releaseDue();
    if (this.#order.size === 0) return undefined;
    this.#turn = (this.#turn + 1) % FAIR_TURN;
    const key = this.#turn === 0 ? first(this.#order) : first(this.#ready.get(Math.max(...this.#ready.keys())) ?? []);
    const entry = key === undefined ? undefined : this.#entries.get(key);
    if (!entry) return undefined;
    this.#leaveState(entry);
    entry.state = 'InFlight';
    entry.isWanted = false;
    return entry.key;
  }

  /** It fits nowhere: waits until one of these happens, or for FLUSH_MS. */
  reject(key: string, helpedBy: ReadonlySet<ClusterEvent>): void {
    const entry = this.#tried(key);
    if (!entry) return;
    if (entry.isWanted) return this.#tryAgain(entry);
    entry.state = 'Waiting';
    entry.helpedBy = helpedBy;
    this.#flushes.set(key, this.#clock.now() + FLUSH_MS);
  }

  /** What was decided could not be done: tried again after its back-off. */
  retry(key: string): void {
    const entry = this.#tried(key);
    if (entry) this.#tryAgain(entry);
  }

  /** When the next machine becomes ready by itself. */
  nextAt(): number | undefined {
    const times = [this.#backingOff.next(), this.#flushes.next()].filter((at) => at !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  get isReady(): boolean {
    this.#releaseDue();
    return this.#order.size > 0;
  }

  #tried(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry?.state !== 'InFlight') return undefined;
    entry.attempts += 1;
    entry.triedAt = this.#clock.now();
    return entry;
  }

  #tryAgain(entry: Entry): void {
    this.#leaveState(entry);
    const at = entry.triedAt + backoffMs(entry.attempts);
    if (at <= this.#clock.now()) return this.#makeReady(entry);
    entry.state = 'BackingOff';
    this.#backingOff.set(entry.key, at);
  }

  #releaseDue(): void {
    const now = this.#clock.now();
    for (const key of [...this.#backingOff.take(now), ...this.#flushes.take(now)]) {
      const entry = this.#entries.get(key);
      if (entry) this.#makeReady(entry);
    }
  }

  #makeReady(entry: Entry): void {
    entry.state = 'Ready';
    this.#order.add(entry.key);
    const group = this.#ready.get(entry.priority);
    if (group) group.add(entry.key);
    else this.#ready.set(entry.priority, new Set([entry.key]));
  }

  #leaveState({ key, priority, state }: Entry): void {
    if (state === 'BackingOff') this.#backingOff.delete(key);
    else if (state === 'Waiting') this.#flushes.delete(key);
    else if (state === 'Ready') {
      this.#order.delete(key);
      const group = this.#ready.get(priority);
      group?.delete(key);
      if (group?.size === 0) this.#ready.delete(priority);
    }
  }
}

const first = (keys: Iterable<string>): string | undefined => {
  for (const key of keys) return key;
  return undefined;
};
