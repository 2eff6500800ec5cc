import { LATENCY_BUCKETS_US, PAGE_ORIGINS, type PageOrigin } from '@corral/memory';
import { Counter, Gauge, Histogram, type MetricType, type Registry } from 'prom-client';
import { type MemoryCount } from './memory-totals.ts';
import { type NodeMemory } from './node-memory.ts';
import { PLACES, registerVmMemoryMetrics } from './vm-memory.metrics.ts';

const TIERS = { staged: 'stagedIns', compressed: 'compressedIns', redis: 'redisIns', durable: 'durableIns' } as const satisfies Record<string, MemoryCount>;
const TROUBLES = { timeout: 'redisTimeouts', miss: 'redisMisses', refusal: 'redisRefusals', stale: 'redisStale' } as const satisfies Record<string, MemoryCount>;

/** What machines' RAM takes and does, in the Prometheus text format: sums over the node, and each machine by itself. */
export function registerMemoryMetrics(registry: Registry, memory: () => NodeMemory | undefined): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: (node: NodeMemory) => number): void => {
    new Gauge({
      name, help, registers,
      collect() {
        const node = memory();
        if (node) this.set(value(node));
      },
    });
  };
  gauge('corral_memory_budget_bytes', 'What the RAM of this node’s machines may take together.', ({ budgetBytes }) => budgetBytes);
  gauge('corral_memory_held_bytes', 'What it takes.', ({ heldBytes }) => heldBytes);
  gauge('corral_memory_pressure', 'Whether the node has too little memory for what runs on it.', ({ pressure }) => Number(pressure.isPressing));
  new Gauge({
    name: 'corral_guest_memory_bytes', help: 'RAM of this node’s machines, by where it is.', labelNames: ['place'], registers,
    collect() {
      for (const [place, field] of Object.entries(PLACES)) this.set({ place }, (memory()?.told ?? []).reduce((sum, told) => sum + told[field], 0));
    },
  });
  gauge('corral_swap_in_p99_seconds', 'How long the machine that waits longest for its pages does so, but for a hundredth of them.', ({ told }) =>
    Math.max(0, ...told.map(({ swapInMicroseconds }) => (swapInMicroseconds?.p99 ?? 0) / 1e6)),
  );
  const counter = (name: string, help: string, labels: Readonly<Record<string, MemoryCount>>, label?: string): void => {
    new Counter({
      name, help, registers, ...(label === undefined ? {} : { labelNames: [label] }),
      collect() {
        this.reset();
        for (const [value, count] of Object.entries(labels)) this.inc(label === undefined ? {} : { [label]: value }, memory()?.totals[count] ?? 0);
      },
    });
  };
  counter('corral_page_faults_total', 'Times guests waited for a page.', { all: 'faults' });
  counter('corral_swap_outs_total', 'Pages taken out of guests’ RAM.', { all: 'swapOuts' });
  counter('corral_swap_ins_total', 'Pages that came back, by where from.', TIERS, 'from');
  counter('corral_swap_redis_troubles_total', 'What kept the swap Redis from being used.', TROUBLES, 'kind');
  registry.registerMetric(new WaitHistogram(memory));
  registerVmMemoryMetrics(registry, () => memory()?.machines ?? new Map());
}

type WaitFigures = Awaited<ReturnType<Histogram<'from' | 'le'>['get']>>;

/** Counted in the VM processes, by buckets of their own; here they are only told. */
class WaitHistogram extends Histogram<'from' | 'le'> {
  readonly #memory: () => NodeMemory | undefined;

  constructor(memory: () => NodeMemory | undefined) {
    super({ name: WAITS, help: WAITS_HELP, labelNames: ['from'], buckets: LATENCY_BUCKETS_US.map(inSeconds), registers: [] });
    this.#memory = memory;
  }

  override get(): Promise<WaitFigures> {
    const waits = this.#memory()?.waits;
    const values = waits ? PAGE_ORIGINS.flatMap((from) => waitValues(from, waits)) : [];
    // As the library does it, though its types say otherwise: the name of the type, and nothing to collect with.
    return Promise.resolve({ name: WAITS, help: WAITS_HELP, type: 'histogram' as unknown as MetricType, aggregator: 'sum', values, collect: () => undefined });
  }

  /** What a registry calls for the text format, and its types do not tell of. */
  getForPromString(): Promise<WaitFigures> {
    return this.get();
  }
}

const WAITS = 'corral_page_fault_seconds';
const WAITS_HELP = 'How long guests waited for a page, by where it was; base and zero are no swapping.';
const inSeconds = (microseconds: number): number => microseconds / 1e6;

/** Each bucket counts all that took no longer, as Prometheus wants it. */
function waitValues(from: PageOrigin, waits: NodeMemory['waits']): WaitFigures['values'] {
  let seen = 0;
  const buckets = [...LATENCY_BUCKETS_US.map(inSeconds), '+Inf'].map((le, bucket) => {
    seen += waits[`${from} ${bucket}`] ?? 0;
    return { metricName: `${WAITS}_bucket`, labels: { from, le }, value: seen };
  });
  return [...buckets, { metricName: `${WAITS}_sum`, labels: { from }, value: inSeconds(waits[`${from} us`]) }, { metricName: `${WAITS}_count`, labels: { from }, value: seen }];
}
