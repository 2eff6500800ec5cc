import { RecentDemand } from './recent-demand.ts';
import { type Rehearsal } from './rehearsal.ts';
import { type VmProcessHandle } from './vm-process.handle.ts';

interface Waiting {
  readonly process: VmProcessHandle;
  readonly likeness: string | undefined;
}

/**
 * The processes of one class that wait, and which should: they are like the machines that were started last, so that two
 * images that are used in turn both find theirs. Starts nothing by itself.
 */
export class ProcessShelf {
  readonly #demand: RecentDemand;
  readonly #maximum: number;
  #waiting: readonly Waiting[] = [];
  /** Likenesses of the last machines, the latest first; undefined for those that only a plain process is good for. */
  #recent: readonly (string | undefined)[] = [];
  readonly #rehearsals = new Map<string, Rehearsal>();

  constructor(limits: { readonly minimum: number; readonly maximum: number }) {
    this.#demand = new RecentDemand(limits);
    this.#maximum = Math.max(1, limits.minimum, limits.maximum);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** A process for a machine: one that rehearsed its start, else one that rehearsed none. */
  take(rehearsal: Rehearsal | undefined, nowMs: number): VmProcessHandle | undefined {
    this.#demand.took(nowMs);
    if (rehearsal?.start) this.#rehearsals.set(rehearsal.likeness, rehearsal);
    this.#recent = [rehearsal?.likeness, ...this.#recent].slice(0, this.#maximum);
    for (const likeness of this.#rehearsals.keys()) if (!this.#recent.includes(likeness)) this.#rehearsals.delete(likeness);
    const usable = this.#waiting.filter(({ process }) => !process.hasExited);
    const found = usable.find(({ likeness }) => rehearsal && likeness === rehearsal.likeness) ?? usable.find(({ likeness }) => likeness === undefined);
    this.#waiting = usable.filter((waiting) => waiting !== found);
    return found?.process;
  }

  /** Machines of this kind will come, though none has yet; those that did come count for more. */
  expect(rehearsal: Rehearsal): void {
    if (!rehearsal.start || this.#recent.includes(rehearsal.likeness)) return;
    if (this.#recent.length >= this.#maximum) return;
    this.#rehearsals.set(rehearsal.likeness, rehearsal);
    this.#recent = [...this.#recent, rehearsal.likeness];
  }

  /** Which process to make ready next; undefined when enough wait. */
  missing(nowMs: number): { readonly rehearsal: Rehearsal | undefined } | undefined {
    const [likeness] = this.#unmet(nowMs);
    if (!likeness) return undefined;
    return { rehearsal: likeness.name === undefined ? undefined : this.#rehearsals.get(likeness.name) };
  }

  /** Puts one on the shelf. Answers those that are not wanted any more. */
  put(process: VmProcessHandle, rehearsal: Rehearsal | undefined, nowMs: number): VmProcessHandle[] {
    this.#waiting = [...this.#waiting.filter((waiting) => !waiting.process.hasExited), { process, likeness: rehearsal?.likeness }];
    return this.clear(nowMs);
  }

  /** Takes away those for which there is no room, and answers them. */
  clear(nowMs: number): VmProcessHandle[] {
    const wanted = this.#wanted(nowMs);
    const kept = this.#waiting.filter(({ likeness }) => {
      const at = wanted.indexOf(likeness);
      if (at >= 0) void wanted.splice(at, 1);
      return at >= 0;
    });
    // What is left of `wanted` is not here yet: until it is, others may stay in its place, the newest first.
    const others = this.#waiting.filter((waiting) => !kept.includes(waiting));
    const surplus = others.slice(0, Math.max(0, others.length - wanted.length));
    this.#waiting = this.#waiting.filter((waiting) => !surplus.includes(waiting));
    return surplus.map(({ process: unwanted }) => unwanted);
  }

  /** Whether it was waiting here. */
  drop(process: VmProcessHandle): boolean {
    const before = this.#waiting.length;
    this.#waiting = this.#waiting.filter((waiting) => waiting.process !== process);
    return this.#waiting.length < before;
  }

  /** A rehearsal that fails is not tried again until a machine of its kind has started once more. */
  forget({ likeness }: Rehearsal): void {
    this.#rehearsals.delete(likeness);
  }

  #unmet(nowMs: number): { readonly name: string | undefined }[] {
    const waiting = this.#waiting.map(({ likeness }) => likeness);
    return this.#wanted(nowMs).flatMap((name) => {
      const at = waiting.indexOf(name);
      if (at < 0) return [{ name }];
      void waiting.splice(at, 1);
      return [];
    });
  }

  /** Those like the last machines; in turn, where fewer were started than should wait. */
  #wanted(nowMs: number): (string | undefined)[] {
    const rehearsable = this.#recent.map((likeness) => (likeness !== undefined && this.#rehearsals.has(likeness) ? likeness : undefined));
    return Array.from({ length: this.#demand.target(nowMs) }, (_, index) => rehearsable[index % rehearsable.length] ?? rehearsable[0]);
  }
}
