import { useState, type ReactElement } from 'react';
import { useLocalNow } from '../../live/now.ts';
import { memory as words } from '../../messages/memory.en.ts';
import { TIERS, type MemoryFigures, type PagingCounts } from './memory-figures.ts';
import { ratesOf, withSample, type PagingSample } from './paging-rates.ts';

/** What paging does: how often, how fast, from where, and how long guests waited for it. */
export function Paging({ figures }: { readonly figures: MemoryFigures }): ReactElement | null {
  const { counts, cameFrom, waits, redisTroubles } = figures;
  // Also while there is nothing to tell: the first pages that leave have a rate.
  const rates = useRates(counts);
  if (counts.faults === 0 && counts.swapOuts === 0) return null;
  const from = TIERS.filter((tier) => cameFrom[tier] > 0).map((tier) => words.from[tier](cameFrom[tier]));
  const rows: readonly (readonly [name: string, value: string | undefined, isBad?: boolean])[] = [
    [words.faults, words.rated(counts.faults, rates?.faults)],
    [words.swapOuts, words.rated(counts.swapOuts, rates?.swapOuts)],
    [words.swapIns, words.rated(counts.swapIns, rates?.swapIns)],
    [words.cameFrom, from.length === 0 ? undefined : words.list(from)],
    [words.waits, waits && words.waited(waits.p50, waits.p99)],
    [words.redisTroubles, redisTroubles === 0 ? undefined : words.times(redisTroubles), true],
  ];
  return (
    <dl aria-label={words.paging} className="grid grid-cols-[max-content_minmax(0,1fr)] gap-x-4 gap-y-1 text-12">
      {rows.map(([name, value, isBad = false]) => value !== undefined && (
        <div key={name} className="contents">
          <dt className="text-ink2">{name}</dt>
          <dd className={`text-right ${isBad ? 'text-attention' : ''}`}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Machines tell what they have counted, and not how fast: that is seen here. */
function useRates(counts: PagingCounts): PagingCounts | undefined {
  const nowMs = useLocalNow().getTime();
  const [samples, setSamples] = useState<readonly PagingSample[]>([]);
  const next = withSample(samples, { atMs: nowMs, counts });
  if (next !== samples) setSamples(next);
  return ratesOf(next, nowMs);
}
