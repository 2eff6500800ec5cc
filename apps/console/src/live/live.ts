import type { KubeObject } from '@corral/contracts';
import { useCallback, useSyncExternalStore } from 'react';
import { Collection, type CollectionView } from './collection.ts';
import { LiveSocket, type Connection } from './live-socket.ts';

const socket = new LiveSocket();
const collections = new Map<string, Collection<KubeObject>>();

/** The list at a path, one per tab however many read it. */
export function collectionAt<T extends KubeObject>(path: string): Collection<T> {
  let collection = collections.get(path);
  if (!collection) {
    collection = new Collection<KubeObject>(path, socket);
    collections.set(path, collection);
  }
  // The path says what kind it holds, and every caller names it by a constant of api/resources.
  return collection as unknown as Collection<T>;
}

const NOTHING: CollectionView<never> = { items: [], loaded: false, failure: undefined };
const never = (): (() => void) => () => undefined;

export interface LiveList<T extends KubeObject> extends CollectionView<T> {
  readonly retry: () => void;
}

/** A live list; nothing at all while there is no path. */
export function useCollection<T extends KubeObject>(path: string | undefined): LiveList<T> {
  const collection = path === undefined ? undefined : collectionAt<T>(path);
  const view = useSyncExternalStore<CollectionView<T>>(
    collection?.subscribe ?? never,
    collection?.view ?? (() => NOTHING),
  );
  const retry = useCallback(() => collection?.retry(), [collection]);
  return { ...view, retry };
}

export function useConnection(): Connection {
  return useSyncExternalStore(socket.subscribe, () => socket.connection);
}

/** Whether changes can be asked for now: while the connection is lost they are disabled, never queued. */
export const useOnline = (): boolean => useConnection().state !== 'Offline';

export const reconnect = (): void => socket.reconnect();

/** Takes the answer to a write into every list that holds the object. */
export function acceptWrite(object: KubeObject): void {
  for (const collection of collections.values()) collection.accept(object);
}

/** Forgets everything: another person may sign in next. */
export function forgetEverything(): void {
  for (const collection of collections.values()) collection.dispose();
  collections.clear();
  socket.close();
}

/** What the server's clock says now. */
export const serverNow = (): Date => new Date(Date.now() + socket.clockOffsetMs);
