import type { VirtualMachineStatus } from '@corral/contracts';
import { formatSize, Meter } from '@corral/ui';
import type { ReactElement } from 'react';
import { en } from '../../messages/en.ts';

type MemoryStatus = NonNullable<VirtualMachineStatus['memory']>;
type Place = keyof typeof en.machine.places;

const CLASSES: Readonly<Record<Place, string>> = {
  private: 'bg-memory-private',
  shared: 'bg-memory-shared',
  compressed: 'bg-[repeating-linear-gradient(135deg,var(--color-memory-swapped)_0_4px,var(--color-memory-zero)_4px_6px)]',
  swapped: 'bg-[repeating-linear-gradient(135deg,var(--color-memory-swapped)_0_2px,var(--color-memory-zero)_2px_6px)]',
  zero: 'bg-memory-zero',
};

/** Where a machine's RAM is: parts that sum to all of it, true to scale, each with what it means. */
export function MemoryPlaces({ memory }: { readonly memory: MemoryStatus }): ReactElement {
  const bytes: Readonly<Record<Place, number>> = {
    private: memory.privateBytes, shared: memory.sharedBytes, compressed: memory.compressedBytes, swapped: memory.swappedBytes, zero: memory.zeroBytes,
  };
  const total = Object.values(bytes).reduce((sum, part) => sum + part, 0);
  const places = (Object.keys(en.machine.places) as Place[]).filter((place) => bytes[place] > 0);
  const inWords = places.map((place) => `${en.machine.places[place].name} ${formatSize(bytes[place])}`).join(', ');
  return (
    <div className="flex flex-col gap-2">
      <Meter
        label={inWords}
        total={total}
        parts={places.filter((place) => place !== 'zero').map((place) => ({ label: place, value: bytes[place], className: CLASSES[place] }))}
      />
      <ul className="grid grid-cols-2 gap-x-4 gap-y-1 text-12 text-ink2">
        {places.map((place) => (
          <li key={place} className="flex items-center gap-2" title={en.machine.places[place].meaning}>
            <span aria-hidden className={`size-2 shrink-0 rounded-full ${CLASSES[place]}`} />
            <span className="grow">{en.machine.places[place].name}</span>
            <span className="text-ink">{formatSize(bytes[place])}</span>
          </li>
        ))}
      </ul>
      {memory.budgetBytes !== undefined && <p className="text-12 text-ink2">{en.machine.budget(formatSize(memory.heldBytes), formatSize(memory.budgetBytes))}</p>}
      {memory.swapIns > 0 && <p className="text-12 text-ink2">{en.machine.swapIns(memory.swapIns, memory.swapInMicroseconds?.p99)}</p>}
      {memory.pager === 'Refused' && <p className="text-12 text-attention">{en.machine.pagerRefused(memory.pagerReason ?? '')}</p>}
    </div>
  );
}
