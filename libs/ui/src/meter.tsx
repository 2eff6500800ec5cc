import type { ReactElement } from 'react';
import { classNames } from './class-names.ts';

export interface MeterPart {
  readonly label: string;
  readonly value: number;
  readonly className: string;
}

const shareOf = (value: number, total: number): number => Math.min(100, (value / Math.max(1, total)) * 100);

/** Shares below 4 px cannot be seen; so none is drawn smaller. */
const MINIMUM_PX = 4;

/** Parts of a whole, true to scale, and where a limit lies. `label` says in words what it shows. */
export function Meter({
  label,
  total,
  parts,
  mark,
  className,
}: {
  readonly label: string;
  readonly total: number;
  readonly parts: readonly MeterPart[];
  /** A limit, on the same scale. */
  readonly mark?: number | undefined;
  readonly className?: string;
}): ReactElement {
  return (
    <div role="img" aria-label={label} title={label} className={classNames('relative h-2', className)}>
      <div className="flex h-full gap-0.5 overflow-hidden rounded-full bg-memory-zero">
        {parts
          .filter(({ value }) => value > 0)
          .map((part) => (
            <span
              key={part.label}
              className={part.className}
              style={{ width: `${shareOf(part.value, total)}%`, minWidth: MINIMUM_PX }}
            />
          ))}
      </div>
      {mark !== undefined && (
        <span
          className="absolute -inset-y-1 w-0.5 -translate-x-1/2 bg-ink outline-2 outline-canvas"
          style={{ left: `${shareOf(mark, total)}%` }}
        />
      )}
    </div>
  );
}
