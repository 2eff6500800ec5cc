import { Button, IconButton } from '@corral/ui';
import { X } from 'lucide-react';
import { useEffect, useSyncExternalStore, type ReactElement } from 'react';
import { en } from '../messages/en.ts';

/** What became of something whose result is not in view. Errors stay until closed. */
export interface Notice {
  readonly text: string;
  readonly detail?: string;
  readonly error?: boolean;
  readonly action?: { readonly label: string; readonly run: () => void };
}

const SHOWN_MS = 6000;

let notice: Notice | undefined;
const listeners = new Set<() => void>();

export function notify(next: Notice | undefined): void {
  notice = next;
  listeners.forEach((listener) => listener());
}

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export function Notices(): ReactElement {
  const shown = useSyncExternalStore(subscribe, () => notice);
  useEffect(() => {
    if (!shown || shown.error) return undefined;
    const timer = setTimeout(() => notify(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  return (
    <div
      aria-live="polite"
      className="pointer-events-none fixed inset-x-0 bottom-4 z-50 flex justify-center px-4 max-phone:bottom-20"
    >
      {shown && (
        <div className="pointer-events-auto flex max-w-xl animate-appear items-center gap-3 rounded-card border border-line2 bg-raised py-2 pr-2 pl-4 shadow-float">
          <p className="min-w-0">
            <strong className={`font-strong ${shown.error ? 'text-bad' : ''}`}>{shown.text}</strong>{' '}
            <span className="text-ink2">{shown.detail}</span>
          </p>
          {shown.action && (
            <Button
              size="Small"
              onClick={() => {
                shown.action?.run();
                notify(undefined);
              }}
            >
              {shown.action.label}
            </Button>
          )}
          <IconButton label={en.close} onClick={() => notify(undefined)}>
            <X aria-hidden size={14} />
          </IconButton>
        </div>
      )}
    </div>
  );
}
