import type { VirtualMachine, VirtualMachineStatus } from '@corral/contracts';

export type MemoryStatus = NonNullable<VirtualMachineStatus['memory']>;

/** Where RAM may be. What counts against a budget comes first, so that the budget's mark stands where that ends at the most. */
export const PLACES = ['private', 'compressed', 'shared', 'swapped', 'zero'] as const;
export type Place = (typeof PLACES)[number];
/** Where pages come back from, the nearest first. */
export const TIERS = ['staged', 'compressed', 'redis', 'durable'] as const;
export type Tier = (typeof TIERS)[number];

/** What only ever grows while a machine runs. */
export interface PagingCounts {
  readonly faults: number;
  readonly swapIns: number;
  readonly swapOuts: number;
}

/** Where the RAM of one machine, or of all of a node, is, and what paging does about it. */
export interface MemoryFigures {
  readonly places: Readonly<Record<Place, number>>;
  readonly heldBytes: number;
  readonly counts: PagingCounts;
  readonly cameFrom: Readonly<Record<Tier, number>>;
  /** Microseconds within which half of the waits for pages were over, and 99 of 100: upper bounds, of who waited longest. */
  readonly waits: { readonly p50: number; readonly p99: number } | undefined;
  /** Times Redis gave or took nothing. */
  readonly redisTroubles: number;
}

/** Of a machine that runs or is paused; what any other told last is of a process that has ended by now. */
export const toldMemory = ({ status }: VirtualMachine): MemoryStatus | undefined =>
  status?.phase === 'Running' || status?.phase === 'Paused' ? status.memory : undefined;

const total = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0);

/** All of them together; of one, its own. */
export function figuresOf(told: readonly MemoryStatus[]): MemoryFigures {
  const sum = (of: (memory: MemoryStatus) => number): number => total(told.map(of));
  const waits = told.flatMap(({ swapInMicroseconds }) => swapInMicroseconds ?? []);
  return {
    places: {
      private: sum((memory) => memory.privateBytes),
      compressed: sum((memory) => memory.compressedBytes),
      shared: sum((memory) => memory.sharedBytes),
      swapped: sum((memory) => memory.swappedBytes),
      zero: sum((memory) => memory.zeroBytes),
    },
    heldBytes: sum((memory) => memory.heldBytes),
    counts: { faults: sum((memory) => memory.faults), swapIns: sum((memory) => memory.swapIns), swapOuts: sum((memory) => memory.swapOuts) },
    cameFrom: {
      staged: sum(({ swapInsFrom }) => swapInsFrom.staged),
      compressed: sum(({ swapInsFrom }) => swapInsFrom.compressed),
      redis: sum(({ swapInsFrom }) => swapInsFrom.redis),
      durable: sum(({ swapInsFrom }) => swapInsFrom.durable),
    },
    waits: waits.length === 0 ? undefined : { p50: Math.max(...waits.map(({ p50 }) => p50)), p99: Math.max(...waits.map(({ p99 }) => p99)) },
    redisTroubles: sum(({ redis }) => redis.timeouts + redis.misses + redis.refusals + redis.stale),
  };
}

/** The other machines, as far as one may see them, that lie on the same base on the same node: what is shared is shared with them. */
export function sharersOf(vm: VirtualMachine, machines: readonly VirtualMachine[]): number {
  const base = vm.status?.lineage?.layers[0];
  if (base === undefined) return 0;
  return machines.filter(
    (other) => other.metadata.uid !== vm.metadata.uid && other.status?.nodeName === vm.status?.nodeName && other.status?.lineage?.layers[0] === base && toldMemory(other) !== undefined,
  ).length;
}
