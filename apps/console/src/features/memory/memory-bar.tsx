import { formatSize, Meter } from '@corral/ui';
import type { ReactElement } from 'react';
import { memory as words } from '../../messages/memory.en.ts';
import { PLACES, type MemoryFigures, type Place } from './memory-figures.ts';

const CLASSES: Readonly<Record<Place, string>> = {
  private: 'bg-memory-private',
  compressed: 'bg-[repeating-linear-gradient(135deg,var(--color-memory-swapped)_0_4px,var(--color-memory-zero)_4px_6px)]',
  shared: 'bg-memory-shared',
  swapped: 'bg-[repeating-linear-gradient(135deg,var(--color-memory-swapped)_0_2px,var(--color-memory-zero)_2px_6px)]',
  zero: 'bg-memory-zero',
};

/** Where RAM is: parts that sum to all of it, true to scale, each with what it means, and a mark where its budget ends. */
export function MemoryBar({ figures: { places }, mark, sharers = 0 }: {
  readonly figures: MemoryFigures;
  /** What may be held, and what that is called. */
  readonly mark?: { readonly bytes: number; readonly label: string } | undefined;
  /** How many others hold what is shared. */
  readonly sharers?: number;
}): ReactElement {
  const all = Object.values(places).reduce((sum, part) => sum + part, 0);
  const shown = PLACES.filter((place) => places[place] > 0);
  const nameOf = (place: Place): string => (place === 'shared' && sharers > 0 ? words.sharedWith(sharers) : words.places[place].name);
  const inWords = [...shown.map((place) => `${nameOf(place)} ${formatSize(places[place])}`), ...(mark ? [`${mark.label} ${formatSize(mark.bytes)}`] : [])].join(', ');
  return (
    <div className="flex flex-col gap-2">
      <Meter
        label={inWords}
        total={all}
        // A limit far beyond all there is would leave nothing to see of the parts.
        mark={mark && mark.bytes <= all ? mark.bytes : undefined}
        parts={shown.filter((place) => place !== 'zero').map((place) => ({ label: place, value: places[place], className: CLASSES[place] }))}
        className="h-2.5"
      />
      <ul className="grid grid-cols-[repeat(auto-fit,minmax(min(100%,132px),1fr))] gap-x-5 gap-y-1 text-12 text-ink2">
        {shown.map((place) => (
          <li key={place} className="flex items-center gap-2" title={words.places[place].meaning}>
            <span aria-hidden className={`size-2 shrink-0 rounded-full ${CLASSES[place]}`} />
            <span className="grow">{nameOf(place)}</span>
            <span className="whitespace-nowrap text-ink">{formatSize(places[place])}</span>
          </li>
        ))}
        {mark && (
          <li className="flex items-center gap-2">
            <span aria-hidden className="mx-[3px] h-3 w-0.5 shrink-0 bg-ink" />
            <span className="grow">{mark.label}</span>
            <span className="whitespace-nowrap text-ink">{formatSize(mark.bytes)}</span>
          </li>
        )}
      </ul>
    </div>
  );
}
