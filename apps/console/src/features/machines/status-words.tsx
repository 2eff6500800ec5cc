import { formatDuration, StatusGlyph, toneClass, type DisplayStatus, type MachineSays } from '@corral/ui';
import type { ReactElement } from 'react';
import { en } from '../../messages/en.ts';

/** Why it is so, in the API's words or with the times it gives. */
export function reasonText({ reason, lastSeen, dueAt }: DisplayStatus<MachineSays>, now: Date): string {
  if (lastSeen !== undefined) return en.machines.lastSeen(formatDuration(now.getTime() - Date.parse(lastSeen)));
  if (dueAt !== undefined)
    return [reason, en.machines.due(formatDuration(Date.parse(dueAt) - now.getTime()))].filter(Boolean).join(', ');
  return reason;
}

/** Shape, word and reason in a line. */
export function StatusWords({
  status,
  now,
}: {
  readonly status: DisplayStatus<MachineSays>;
  readonly now: Date;
}): ReactElement {
  const reason = reasonText(status, now);
  return (
    <span className="flex min-w-0 items-center gap-2">
      <StatusGlyph shape={status.shape} tone={status.tone} />
      <span className={`${toneClass(status.tone)} shrink-0 font-medium`}>{en.machineSays[status.says]}</span>
      {reason !== '' && (
        <span className="truncate text-12 text-ink2" title={reason}>
          {reason}
        </span>
      )}
    </span>
  );
}

const TINTS = {
  Good: 'bg-good/10',
  Attention: 'bg-attention/10',
  Motion: 'bg-motion/10',
  Asleep: 'bg-asleep/10',
  Off: 'bg-off/10',
  Bad: 'bg-bad/10',
  Unknown: 'bg-off/10',
} as const;

/** The same as a chip, for a title. */
export function StatusChip<Says extends string>({
  status,
  label,
}: {
  readonly status: DisplayStatus<Says>;
  readonly label: string;
}): ReactElement {
  return (
    <span
      className={`inline-flex h-6 shrink-0 items-center gap-2 rounded-control px-2 font-medium ${TINTS[status.tone]} ${toneClass(status.tone)}`}
    >
      <StatusGlyph shape={status.shape} tone={status.tone} size={11} />
      {label}
    </span>
  );
}
