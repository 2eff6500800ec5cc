import { Inject, Injectable } from '@nestjs/common';
import { versionNotReached, type Change, type Selection, type WatchRequest } from '@corral/api-machinery';
import { qualifiedResource, type WatchEvent } from '@corral/contracts';
import { ChangeFeed } from '../../platform/database/change-feed.ts';
import { CachedStore } from '../../platform/database/cached-store.ts';

/** What a watcher is told: an event, or how far it has seen everything. */
export type WatchItem =
  | { readonly type: 'Event'; readonly event: WatchEvent }
  | { readonly type: 'Bookmark'; readonly resourceVersion: number; readonly isInitialEnd: boolean };

export interface WatchOptions {
  readonly start: WatchRequest['start'];
  readonly marksInitialEnd: boolean;
  readonly bookmarkEveryMs: number;
  /** Ends the watch after this long, a bookmark two seconds before. */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
}

const BATCH = 500;
/** So long before its end a watch says how far it came, so that whoever goes on begins there. */
const LAST_BOOKMARK_MS = 2_000;

/** Watches over the change log: history up to where the feed is, from memory or the database, then the feed. */
@Injectable()
export class Watches {
  constructor(
    @Inject(CachedStore) private readonly store: CachedStore,
    @Inject(ChangeFeed) private readonly feed: ChangeFeed,
  ) {}

  /**
   * Everything that happens to a selection, in order, without gap or repetition. Rejects with `version.expired` when
   * history was forgotten; ends when the signal aborts, time is up, the watcher is too slow, or the server stops.
   */
  async *watch(selection: Selection, options: WatchOptions): AsyncGenerator<WatchItem, void> {
    const resource = qualifiedResource(selection.kind);
    const deadline = options.timeoutMs === undefined ? Infinity : Date.now() + options.timeoutMs;
    const lastBookmarkAt = Math.max(Date.now(), deadline - LAST_BOOKMARK_MS);
    // Subscribed before history is read, so that nothing falls between the two.
    const subscription = this.feed.subscribe(resource, selection.namespace, selection.index.field);
    try {
      let cursor: number;
      if (options.start.from === 'Existing') {
        cursor = yield* this.#existing(selection);
        if (options.marksInitialEnd) yield { type: 'Bookmark', resourceVersion: cursor, isInitialEnd: true };
      } else if (options.start.from === 'Version') {
        cursor = yield* this.#history(selection, resource, options.start.version, subscription.start);
      } else {
        cursor = await this.store.currentVersion();
      }

      let bookmarkAt = Math.min(Date.now() + options.bookmarkEveryMs, lastBookmarkAt);
      for (;;) {
        const waitUntil = Math.min(bookmarkAt, deadline);
        const batch = await subscription.next(waitUntil - Date.now(), options.signal);
        if (!batch) return;
        for (const change of batch.changes) {
          if (change.resourceVersion <= cursor) continue;
          cursor = change.resourceVersion;
          const event = selection.eventOf(change);
          if (event) yield { type: 'Event', event };
        }
        cursor = Math.max(cursor, batch.position);
        if (Date.now() >= bookmarkAt) {
          yield { type: 'Bookmark', resourceVersion: cursor, isInitialEnd: false };
          const next = Date.now() + options.bookmarkEveryMs;
          bookmarkAt = bookmarkAt < lastBookmarkAt ? Math.min(next, lastBookmarkAt) : next;
        }
        if (Date.now() >= deadline) return;
      }
    } finally {
      subscription.end();
    }
  }

  async *#existing(selection: Selection): AsyncGenerator<WatchItem, number> {
    const { objects, resourceVersion } = await this.store.list(selection.kind, { namespace: selection.namespace, ...selection.index });
    for (const object of objects) {
      if (selection.matches(object)) yield { type: 'Event', event: { type: 'ADDED', object } };
    }
    return resourceVersion;
  }

  async *#history(selection: Selection, resource: string, from: number, to: number): AsyncGenerator<WatchItem, number> {
    let cursor = from;
    for (;;) {
      const changes: readonly Change[] = await this.store.changesAfter(cursor, BATCH, resource);
      for (const change of changes) {
        cursor = change.resourceVersion;
        const event = selection.eventOf(change);
        if (event) yield { type: 'Event', event };
      }
      if (changes.length < BATCH) break;
    }
    if (cursor <= to) return Math.max(cursor, to);
    // The feed may lag behind the database, but nobody can have a version from the future.
    if (cursor === from) {
      const current = await this.store.currentVersion();
      if (from > current) throw versionNotReached(from, current);
    }
    return cursor;
  }
}
