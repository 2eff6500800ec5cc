import { type VmMemoryStatus } from '@corral/contracts';
import { Counter, Gauge, type Registry } from 'prom-client';

/** Where a machine's RAM is, and where what came back of it was. */
export const PLACES = { private: 'privateBytes', shared: 'sharedBytes', compressed: 'compressedBytes', swapped: 'swappedBytes', zero: 'zeroBytes' } as const satisfies Record<string, keyof VmMemoryStatus>;
const TIERS = ['staged', 'compressed', 'redis', 'durable'] as const;

type Value = readonly [labels: Readonly<Record<string, string>>, value: number];
type ValuesOf = (memory: VmMemoryStatus) => readonly Value[];

/**
 * What each machine's RAM takes and does, as far as it has told. `vm` is its uid: what it is called is its tenant's, and whoever reaches the node agent
 * may read its metrics.
 */
export function registerVmMemoryMetrics(registry: Registry, machines: () => ReadonlyMap<string, VmMemoryStatus>): void {
  const registers = [registry];
  const each = (valuesOf: ValuesOf, take: (labels: Readonly<Record<string, string>>, value: number) => void): void => {
    for (const [vm, memory] of machines()) for (const [labels, value] of valuesOf(memory)) take({ vm, ...labels }, value);
  };
  const gauge = (name: string, help: string, valuesOf: ValuesOf, label: readonly string[] = []): void => {
    new Gauge({
      name, help, registers, labelNames: ['vm', ...label],
      collect() {
        this.reset();
        each(valuesOf, (labels, value) => this.set(labels, value));
      },
    });
  };
  const counter = (name: string, help: string, valuesOf: ValuesOf, label: readonly string[] = []): void => {
    new Counter({
      name, help, registers, labelNames: ['vm', ...label],
      collect() {
        this.reset();
        each(valuesOf, (labels, value) => this.inc(labels, value));
      },
    });
  };
  gauge('corral_vm_memory_bytes', 'RAM of a machine, by where it is.', (memory) => Object.entries(PLACES).map(([place, field]) => [{ place }, memory[field]]), ['place']);
  gauge('corral_vm_memory_held_bytes', 'What a machine’s RAM takes of the node.', ({ heldBytes }) => [[{}, heldBytes]]);
  gauge('corral_vm_memory_budget_bytes', 'What it may take; of machines that somebody limits.', ({ budgetBytes }) => (budgetBytes === undefined ? [] : [[{}, budgetBytes]]));
  gauge('corral_vm_swap_in_seconds', 'How long a guest waited for pages that were out; upper bounds.', ({ swapInMicroseconds: waits }) => (waits ? [[{ quantile: '0.5' }, waits.p50 / 1e6], [{ quantile: '0.99' }, waits.p99 / 1e6]] : []), ['quantile']);
  counter('corral_vm_page_faults_total', 'Times a guest waited for a page.', ({ faults }) => [[{}, faults]]);
  counter('corral_vm_swap_outs_total', 'Pages taken out of a guest’s RAM.', ({ swapOuts }) => [[{}, swapOuts]]);
  counter('corral_vm_swap_ins_total', 'Pages of a guest that came back, by where from.', ({ swapInsFrom }) => TIERS.map((from) => [{ from }, swapInsFrom[from]]), ['from']);
}
