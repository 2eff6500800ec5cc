import type { ReactElement } from 'react';
import { classNames } from './class-names.ts';

export interface MeterPart {
  readonly label: string;
  readonly value: number;
  readonly className: string;
}

/** Shares below 4 px cannot be seen; so none is drawn smaller. */
const MINIMUM_PX = 4;

/** Parts of a whole, true to scale. `label` says in words what it shows. */
export function Meter({
  label,
  total,
  parts,
  className,
}: {
  readonly label: string;
  readonly total: number;
  readonly parts: readonly MeterPart[];
  readonly className?: string;
}): ReactElement {
  return (
    <div
      role="img"
      aria-label={label}
      title={label}
      className={classNames('flex h-2 gap-0.5 overflow-hidden rounded-full bg-memory-zero', className)}
    >
      {parts
        .filter(({ value }) => value > 0)
        .map((part) => (
          <span
            key={part.label}
            className={part.className}
            style={{ width: `${Math.min(100, (part.value / Math.max(1, total)) * 100)}%`, minWidth: MINIMUM_PX }}
          />
        ))}
    </div>
  );
}
