import { MACHINE_PHASES, type MachinePhase } from '@corral/vm-lifecycle';
import { type BaseTotals } from '../bases/base-images.ts';
import { type NodeMemory } from '../memory/node-memory.ts';
import { registerMemoryMetrics } from '../memory/memory.metrics.ts';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface MetricsSources {
  /** Phases of the machines of this node. */
  phases(): readonly MachinePhase[];
  /** The RAM that machines share. */
  bases(): BaseTotals;
  /** What machines' RAM takes and does; undefined before the node is up. */
  memory(): NodeMemory | undefined;
  /** Machines that wait for their turn to start, and those whose turn it is. */
  starts(): { readonly waiting: number; readonly underWay: number };
  /** Objects that a resync found different from what the watch had told, by kind. */
  corrections(): Readonly<Record<string, number>>;
}

/** What a node agent counts, in the Prometheus text format. Labels are few and known; what machines' memory does is told of each, by its uid. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #failures = new Counter({
    name: 'corral_reconcile_failures_total',
    help: 'Reconciliations that failed and are tried again.',
    labelNames: ['controller'],
    registers: [this.#registry],
  });
  readonly #starts = new Histogram({
    name: 'corral_machine_start_seconds',
    help: 'Start of an incarnation to its first Ready.',
    labelNames: ['from'],
    registers: [this.#registry],
    buckets: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60],
  });

  readonly #startWaits = new Histogram({
    name: 'corral_start_wait_seconds',
    help: 'How long machines waited for their turn to start or wake up.',
    registers: [this.#registry],
    buckets: [0.001, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
  });

  constructor(sources: MetricsSources) {
    collectDefaultMetrics({ register: this.#registry });
    new Gauge({
      name: 'corral_machines',
      help: 'Machines on this node.',
      labelNames: ['phase'],
      registers: [this.#registry],
      collect() {
        const phases = sources.phases();
        for (const phase of MACHINE_PHASES) this.set({ phase }, phases.filter((other) => other === phase).length);
      },
    });
    const ofBases = (name: string, help: string, value: (totals: BaseTotals) => number): void => {
      new Gauge({
        name,
        help,
        registers: [this.#registry],
        collect() {
          this.set(value(sources.bases()));
        },
      });
    };
    ofBases('corral_bases', 'Bases held: RAM that machines from one snapshot share.', ({ bases }) => bases);
    ofBases('corral_base_users', 'Machines that map a base.', ({ users }) => users);
    ofBases('corral_base_bytes', 'Memory that bases take.', ({ storedBytes }) => storedBytes);
    ofBases('corral_base_mapped_bytes', 'Memory of bases, counted once for each machine that maps it: what machines would take without sharing.', ({ mappedBytes }) => mappedBytes);
    registerMemoryMetrics(this.#registry, () => sources.memory());
    const countedOfBases = (name: string, help: string, value: (totals: BaseTotals) => number): void => {
      new Counter({
        name,
        help,
        registers: [this.#registry],
        collect() {
          this.reset();
          this.inc(value(sources.bases()));
        },
      });
    };
    countedOfBases('corral_base_asked_frames_total', 'Frames of bases that a machine stood still for, because they had not been fetched yet.', ({ askedFrames }) => askedFrames);
    countedOfBases('corral_base_fetched_bytes_total', 'Bytes of bases read in parts from the object store.', ({ fetchedBytes }) => fetchedBytes);
    new Gauge({
      name: 'corral_starts',
      help: 'Machines that start or wake up now, and those that wait for their turn to.',
      labelNames: ['state'],
      registers: [this.#registry],
      collect() {
        const { waiting, underWay } = sources.starts();
        this.set({ state: 'waiting' }, waiting);
        this.set({ state: 'under-way' }, underWay);
      },
    });
    new Gauge({
      name: 'corral_resync_corrections',
      help: 'Objects that a resync found different from what the watch had told.',
      labelNames: ['kind'],
      registers: [this.#registry],
      collect() {
        for (const [kind, count] of Object.entries(sources.corrections())) this.set({ kind }, count);
      },
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  countFailure(controller: string): void {
    this.#failures.inc({ controller });
  }

  observeStartWait(milliseconds: number): void {
    this.#startWaits.observe(milliseconds / 1000);
  }

  observeStart(from: string, milliseconds: number): void {
    this.#starts.observe({ from }, milliseconds / 1000);
  }
}
