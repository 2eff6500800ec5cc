import type { MachineRow } from './machine-rows.ts';

/** What the fleet comes to, in numbers. Pure. */
export interface FleetFigures {
  readonly machines: number;
  readonly running: number;
  readonly guestBytes: number;
  /** Absent until a node has measured one of them. */
  readonly heldBytes: number | undefined;
  /** Median of those last started from a golden snapshot; absent when none was. */
  readonly startMs: number | undefined;
}

export function fleetFigures(rows: readonly MachineRow[]): FleetFigures {
  const held = rows.filter(({ vm }) => vm.status?.phase === 'Running' || vm.status?.phase === 'Paused');
  const measured = held.flatMap(({ heldBytes }) => heldBytes ?? []);
  const starts = rows.flatMap(({ vm: { status } }) =>
    status?.startedFrom?.type === 'GoldenSnapshot' ? (status.startMilliseconds ?? []) : [],
  );
  return {
    machines: rows.length,
    running: rows.filter(({ status }) => status.says === 'Running').length,
    guestBytes: sum(held.map(({ memoryBytes }) => memoryBytes ?? 0)),
    heldBytes: measured.length === 0 ? undefined : sum(measured),
    startMs: median(starts),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

function median(numbers: readonly number[]): number | undefined {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  const lower = sorted[sorted.length % 2 === 0 ? middle - 1 : middle];
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2;
}
