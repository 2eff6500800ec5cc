import { useSyncExternalStore } from 'react';
import { serverNow } from './live.ts';

const listeners = new Set<() => void>();
let now = serverNow();
let localNow = new Date();
let ticker: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  now = serverNow();
  localNow = new Date();
  ticker ??= setInterval(() => {
    if (document.hidden) return;
    now = serverNow();
    localNow = new Date();
    listeners.forEach((tell) => tell());
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(ticker);
      ticker = undefined;
    }
  };
}

/** The server's time, once a second, from one ticker for everything on the page. */
export function useNow(): Date {
  return useSyncExternalStore(subscribe, () => now);
}

/** This browser's own time, for what happens in the browser: retries, losses of connection. */
export function useLocalNow(): Date {
  return useSyncExternalStore(subscribe, () => localNow);
}
