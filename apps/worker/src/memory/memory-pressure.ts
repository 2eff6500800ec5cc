/** How long work on this host waited for memory, in per cent of the last ten seconds and the last minute. Source: Documentation/accounting/psi.rst. */
export interface MemoryStall {
  /** Something waited. */
  readonly some10: number;
  readonly some60: number;
  /** Everything waited. */
  readonly full10: number;
}

export interface MemoryReading {
  /** Undefined where the kernel does not say. */
  readonly stall: MemoryStall | undefined;
  /** What can be had without swapping, as a share of what there is; undefined where the kernel does not say. */
  readonly availableShare: number | undefined;
  /** What machines' RAM takes, and what it may. */
  readonly heldBytes: number;
  readonly budgetBytes: number;
  /** There is not as much as machines want: some were given less. */
  readonly isOvercommitted: boolean;
}

export interface MemoryPressure {
  readonly isPressing: boolean;
  readonly reason: 'HostStalls' | 'HostMemoryShort' | 'BudgetExhausted' | 'SufficientMemory';
  readonly message: string;
}

/** Above the first, a host is pressed; it is well again only below the second, so that it does not go to and fro. */
const STALL = { some10: [20, 5], full10: [5, 1] } as const;
const AVAILABLE = [0.05, 0.1] as const;
const HELD = [0.97, 0.9] as const;
/** Machines that were given less keep to it, each a little below. */
const HELD_OVERCOMMITTED = [0.85, 0.75] as const;

/** Whether the node has too little memory for what runs on it, given whether it had before. Pure. */
export function memoryPressure({ stall, availableShare, heldBytes, budgetBytes, isOvercommitted }: MemoryReading, wasPressing: boolean): MemoryPressure {
  const bound = wasPressing ? 1 : 0;
  if (stall && (stall.some10 > STALL.some10[bound] || stall.full10 > STALL.full10[bound])) {
    return { isPressing: true, reason: 'HostStalls', message: `Work on this host waited for memory ${Math.round(stall.some10)}% of the time` };
  }
  if (availableShare !== undefined && availableShare < AVAILABLE[bound]) {
    return { isPressing: true, reason: 'HostMemoryShort', message: `${Math.round(availableShare * 100)}% of this host’s memory can still be had` };
  }
  if (budgetBytes > 0 && heldBytes > budgetBytes * (isOvercommitted ? HELD_OVERCOMMITTED : HELD)[bound]) {
    return { isPressing: true, reason: 'BudgetExhausted', message: 'The machines’ RAM takes all that is meant for it; more of it is swapped out' };
  }
  return { isPressing: false, reason: 'SufficientMemory', message: 'The node has enough memory' };
}

/** A host under pressure gives its machines less, so that what they do not use leaves. */
export const PRESSED_SHARE = 0.8;

/** Reads `/proc/pressure/memory`; undefined where that is not what it should be. */
export function parseStall(text: string): MemoryStall | undefined {
  const number = (line: string, field: string): number => Number(new RegExp(`^${line} .*\\b${field}=([0-9.]+)`, 'm').exec(text)?.[1]);
  const stall = { some10: number('some', 'avg10'), some60: number('some', 'avg60'), full10: number('full', 'avg10') };
  return Object.values(stall).every(Number.isFinite) ? stall : undefined;
}

/** Reads `/proc/meminfo`. Source: proc_meminfo(5). */
export function parseAvailableShare(text: string): number | undefined {
  const [total, available] = ['MemTotal', 'MemAvailable'].map((field) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]));
  return total !== undefined && available !== undefined && total > 0 && Number.isFinite(available) ? available / total : undefined;
}
