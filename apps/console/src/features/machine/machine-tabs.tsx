import { classNames } from '@corral/ui';
import { Link } from '@tanstack/react-router';
import { Files, Gauge, Monitor, Network, ScrollText, SquareTerminal, type LucideIcon } from 'lucide-react';
import { useRef, type ReactElement } from 'react';
import { en } from '../../messages/en.ts';

export const TABS = ['screen', 'terminal', 'files', 'snapshots', 'events', 'overview'] as const;
export type Tab = (typeof TABS)[number];
const TAB_ICONS: Readonly<Record<Tab, LucideIcon>> = {
  screen: Monitor,
  terminal: SquareTerminal,
  files: Files,
  snapshots: Network,
  events: ScrollText,
  overview: Gauge,
};

/** The views of a machine, as tabs; arrows move between them. */
export function MachineTabs({
  tabs,
  tab,
  snapshots,
  onOpen,
}: {
  readonly tabs: readonly Tab[];
  readonly tab: Tab;
  readonly snapshots: number;
  readonly onOpen: (tab: Tab) => void;
}): ReactElement {
  const bar = useRef<HTMLDivElement>(null);
  const step = (by: number): void => {
    const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
    if (!next) return;
    onOpen(next);
    bar.current?.querySelector<HTMLElement>(`[data-tab="${next}"]`)?.focus();
  };
  return (
    <div
      ref={bar}
      role="tablist"
      aria-label={en.machine.tabsLabel}
      className="flex h-12 shrink-0 items-center gap-1 border-b border-line px-4"
      onKeyDown={({ key }) => {
        if (key === 'ArrowRight') step(1);
        if (key === 'ArrowLeft') step(-1);
      }}
    >
      {tabs.map((one) => (
        <button
          key={one}
          type="button"
          role="tab"
          data-tab={one}
          aria-selected={tab === one}
          tabIndex={tab === one ? 0 : -1}
          onClick={() => onOpen(one)}
          className="flex h-8 items-center gap-2 rounded-control px-3 font-medium text-ink2 transition-colors duration-80 hover:text-ink aria-selected:bg-hover aria-selected:text-ink"
        >
          {en.machine.tabs[one]}
          {one === 'snapshots' && snapshots > 0 && <span className="text-12 text-ink2">{snapshots}</span>}
        </button>
      ))}
    </div>
  );
}

/** The same at the thumb. */
export function PhoneTabs({
  tab,
  namespace,
  name,
}: {
  readonly tab: Tab;
  readonly namespace: string;
  readonly name: string;
}): ReactElement {
  return (
    <nav
      aria-label={en.machine.tabsLabel}
      className="flex shrink-0 border-t border-line bg-panel pb-[env(safe-area-inset-bottom)]"
    >
      {TABS.map((one) => {
        const Icon = TAB_ICONS[one];
        return (
          <Link
            key={one}
            to="/machines/$namespace/$name/$tab"
            params={{ namespace, name, tab: one }}
            search={(previous) => ({ ns: previous.ns })}
            replace
            aria-current={tab === one ? 'page' : undefined}
            className={classNames(
              'flex min-w-0 flex-1 flex-col items-center gap-1 pt-2 pb-1 text-11 font-medium',
              tab === one ? 'text-accent' : 'text-ink2',
            )}
          >
            <Icon aria-hidden size={18} />
            <span className="max-w-full truncate">{en.machine.tabs[one]}</span>
          </Link>
        );
      })}
    </nav>
  );
}
