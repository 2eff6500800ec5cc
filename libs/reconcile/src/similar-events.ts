/** So many messages of one reason about one object are told apart within INTERVAL_MS. Source: k8s.io/client-go/tools/record, defaultAggregateMaxEvents. */
const MAX_MESSAGES = 10;
/** Source: defaultAggregateIntervalInSeconds. */
const INTERVAL_MS = 10 * 60_000;
/** Source: maxLruCacheEntries. */
const MAX_GROUPS = 4096;

interface Group {
  readonly messages: Set<string>;
  lastAt: number;
}

/** Notices when much the same is said of an object again and again in other words, so that it becomes one event that counts. */
export class SimilarEvents {
  /** The least recently told of first. */
  readonly #groups = new Map<string, Group>();

  /** Whether this message is one too many of its group; `at` in milliseconds. */
  isOneOfMany(group: string, message: string, at: number): boolean {
    const before = this.#groups.get(group);
    const known = before && at - before.lastAt < INTERVAL_MS ? before : { messages: new Set<string>(), lastAt: at };
    known.lastAt = at;
    this.#groups.delete(group);
    this.#groups.set(group, known);
    const [oldest] = this.#groups.keys();
    if (this.#groups.size > MAX_GROUPS && oldest !== undefined) this.#groups.delete(oldest);
    if (known.messages.has(message)) return false;
    if (known.messages.size >= MAX_MESSAGES) return true;
    known.messages.add(message);
    return false;
  }
}
