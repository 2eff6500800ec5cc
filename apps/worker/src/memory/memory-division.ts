const MIB = 1024 * 1024;

/** A machine as far as its share of the node's memory goes. */
export interface MemoryDemand {
  readonly uid: string;
  /** What it may take where there is enough: its resident budget, or all of its RAM. */
  readonly wantedBytes: number;
  /** What its RAM takes now; undefined while it has not said. */
  readonly heldBytes: number | undefined;
}

/** No machine is given less: below this a guest does nothing but wait for pages. */
export const LEAST_BUDGET_BYTES = 16 * MIB;
/** What a machine may grow by before memory is divided again. */
const GROWTH_SHARE = 1.25;
const GROWTH_BYTES = 16 * MIB;
const ROUNDS = 50;

/**
 * How much of the node's memory each machine's RAM may take. While all that machines hold, and may soon hold, fits, each
 * has what it wants; otherwise memory is filled in like water, in proportion to what they want: who needs less than its
 * share gets what it needs, and the others share the rest. Pure.
 */
export function divideMemory(totalBytes: number, machines: readonly MemoryDemand[]): ReadonlyMap<string, number> {
  const demands = machines.map((machine) => ({ ...machine, demandBytes: demandOf(machine) }));
  const sum = (level: number): number => demands.reduce((total, { wantedBytes, demandBytes }) => total + Math.min(demandBytes, wantedBytes * level), 0);
  if (sum(1) <= totalBytes) return new Map(machines.map(({ uid, wantedBytes }) => [uid, wantedBytes]));
  let [low, high] = [0, 1];
  for (let round = 0; round < ROUNDS; round += 1) {
    const level = (low + high) / 2;
    if (sum(level) <= totalBytes) low = level;
    else high = level;
  }
  return new Map(demands.map(({ uid, wantedBytes }) => [uid, Math.max(Math.min(wantedBytes, LEAST_BUDGET_BYTES), Math.floor(wantedBytes * low))]));
}

const demandOf = ({ wantedBytes, heldBytes }: MemoryDemand): number =>
  heldBytes === undefined ? wantedBytes : Math.min(wantedBytes, heldBytes * GROWTH_SHARE + GROWTH_BYTES);
