import { useEffect, useRef } from 'react';

/** Keys a page answers to: `c`, `/`, `?`, `Escape`, or a sequence such as `g m`. */
export type KeyMap = Readonly<Record<string, (event: KeyboardEvent) => void>>;

const SEQUENCE_MS = 1200;

let pendingPrefix = '';
let pendingSince = 0;

/** While something takes text, or a dialog or a guest has the keyboard, single letters are theirs. */
function isTaken({ target }: KeyboardEvent): boolean {
  return (
    target instanceof Element &&
    target.closest(
      'input:not([type=checkbox]), textarea, select, [contenteditable=true], [role=dialog], [role=alertdialog], [role=menu], [data-takes-keys]',
    ) !== null
  );
}

/** Answers to keys while mounted. */
export function useKeys(keys: KeyMap): void {
  const current = useRef(keys);
  useEffect(() => {
    current.current = keys;
  });
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTaken(event)) return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const sequence =
        pendingPrefix !== '' && event.timeStamp - pendingSince < SEQUENCE_MS ? `${pendingPrefix} ${key}` : key;
      const handler = current.current[sequence];
      if (handler) {
        event.preventDefault();
        pendingPrefix = '';
        handler(event);
      } else if (key === 'g') {
        pendingPrefix = key;
        pendingSince = event.timeStamp;
      }
    };
    window.addEventListener('keydown', pressed);
    return () => window.removeEventListener('keydown', pressed);
  }, []);
}
