import { classNames, Kbd, StatusGlyph, type StatusShape, type StatusTone } from '@corral/ui';
import { ListFilter, X } from 'lucide-react';
import { useRef, type ReactElement, type ReactNode } from 'react';
import { useKeys } from '../../app/keys.ts';
import { en } from '../../messages/en.ts';
import { FACETS, type Facet } from './machine-rows.ts';

const LOOKS: Readonly<Record<Facet, { readonly shape: StatusShape; readonly tone: StatusTone }>> = {
  Running: { shape: 'Disc', tone: 'Good' },
  Changing: { shape: 'Arc', tone: 'Motion' },
  NotReady: { shape: 'Ring', tone: 'Attention' },
  Paused: { shape: 'Bars', tone: 'Attention' },
  Hibernated: { shape: 'Crescent', tone: 'Asleep' },
  Stopped: { shape: 'Square', tone: 'Off' },
  Failed: { shape: 'Diamond', tone: 'Bad' },
  Unknown: { shape: 'Dashed', tone: 'Unknown' },
};

/** The text filter of a list; `/` goes to it, `Esc` empties it. */
export function FilterInput({
  value,
  hint,
  onChange,
}: {
  readonly value: string;
  readonly hint: string;
  readonly onChange: (query: string) => void;
}): ReactElement {
  const input = useRef<HTMLInputElement>(null);
  useKeys({ '/': () => input.current?.focus(), Escape: () => onChange('') });
  return (
    <div className="flex h-8 w-72 min-w-0 items-center gap-2 rounded-control border border-edge bg-panel pr-1.5 pl-2.5 focus-within:outline-2 focus-within:outline-accent max-phone:h-11 max-phone:w-full">
      <ListFilter aria-hidden size={14} className="shrink-0 text-ink3" />
      <input
        ref={input}
        type="text"
        role="searchbox"
        value={value}
        placeholder={hint}
        aria-label={en.machines.filter}
        spellCheck={false}
        autoComplete="off"
        onChange={({ target }) => onChange(target.value)}
        onKeyDown={({ key, currentTarget }) => {
          if (key !== 'Escape') return;
          if (value === '') currentTarget.blur();
          else onChange('');
        }}
        className="h-full min-w-0 flex-1 bg-transparent outline-none max-phone:text-[16px]"
      />
      {value === '' ? (
        <span className="max-phone:hidden">
          <Kbd>/</Kbd>
        </span>
      ) : (
        <button
          type="button"
          aria-label={en.machines.clearFilter}
          onClick={() => onChange('')}
          className="grid size-6 place-items-center rounded-tag text-ink3 hover:text-ink"
        >
          <X aria-hidden size={14} />
        </button>
      )}
    </div>
  );
}

interface FilterRowProps {
  readonly query: string;
  readonly onQuery: (query: string) => void;
  readonly facet: string | undefined;
  readonly onFacet: (facet: Facet | undefined) => void;
  readonly counts: ReadonlyMap<Facet, number>;
  /** Before the filter: how the list is drawn. */
  readonly children?: ReactNode;
}

/** Text filter, and the states there are with how many are in each. */
export function FilterRow({ query, onQuery, facet, onFacet, counts, children }: FilterRowProps): ReactElement {
  return (
    <div className="flex flex-wrap items-center gap-2.5 px-5 py-3.5 max-phone:gap-2 max-phone:px-4 max-phone:pt-1">
      {children}
      <FilterInput value={query} hint={en.machines.filterHint} onChange={onQuery} />
      <div className="flex-1 max-wide:hidden" />
      <div role="group" aria-label={en.machines.facets} className="flex gap-2 overflow-x-auto p-0.5">
        {FACETS.filter((name) => counts.has(name) || name === facet).map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={facet === name}
            onClick={() => onFacet(facet === name ? undefined : name)}
            className={classNames(
              'flex h-7 shrink-0 items-center gap-2 rounded-control border bg-panel px-2.5 font-medium hover:bg-hover max-phone:h-9',
              facet === name ? 'border-accent text-ink' : 'border-line2 text-ink',
            )}
          >
            <StatusGlyph {...LOOKS[name]} size={11} />
            <span className="text-ink2 max-phone:sr-only">
              {name === 'Changing' ? en.machines.changing : en.machineSays[name]}
            </span>
            <span className="font-strong">{counts.get(name) ?? 0}</span>
          </button>
        ))}
      </div>
    </div>
  );
}
