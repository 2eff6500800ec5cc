export interface FairQueueOptions {
  /** Requests carried out at once. */
  readonly seats: number;
  /** Of these, for one flow: the others find some free whatever it does. */
  readonly seatsPerFlow: number;
  /** Requests of one flow that may wait. */
  readonly queueLength: number;
}

interface Flow {
  readonly name: string;
  seated: number;
  readonly waiting: Set<() => void>;
}

/**
 * Seats shared fairly: who comes when all are taken waits in the queue of its flow, and a seat that becomes free goes to the
 * flow that has fewest, in turn among equals. So a flow that asks for much waits for itself, and delays another by no more
 * than the requests already seated. Source of the idea: Kubernetes API Priority and Fairness (KEP-1040), without shuffling.
 */
export class FairQueue {
  readonly #options: FairQueueOptions;
  readonly #flows = new Map<string, Flow>();
  /** Flows with requests that wait, in turn. */
  readonly #turn = new Set<Flow>();
  #seated = 0;

  constructor(options: FairQueueOptions) {
    this.#options = options;
  }

  /**
   * Seated: go on, and `leave` when done. Waiting: `onSeated` is called when it is seated, unless `giveUp` comes first with
   * the same function. Full: neither.
   */
  enter(name: string, onSeated: () => void): 'Seated' | 'Waiting' | 'Full' {
    const flow = this.#flows.get(name) ?? { name, seated: 0, waiting: new Set() };
    if (this.#seated < this.#options.seats && flow.seated < this.#options.seatsPerFlow && flow.waiting.size === 0) {
      this.#flows.set(name, flow);
      this.#seat(flow);
      return 'Seated';
    }
    if (flow.waiting.size >= this.#options.queueLength) return 'Full';
    this.#flows.set(name, flow);
    flow.waiting.add(onSeated);
    this.#turn.add(flow);
    return 'Waiting';
  }

  /** False when it no longer waits. */
  giveUp(name: string, onSeated: () => void): boolean {
    const flow = this.#flows.get(name);
    if (!flow?.waiting.delete(onSeated)) return false;
    this.#tidy(flow);
    return true;
  }

  leave(name: string): void {
    const flow = this.#flows.get(name);
    if (!flow || flow.seated === 0) throw new Error(`nobody of ${name} has a seat`);
    flow.seated -= 1;
    this.#seated -= 1;
    this.#tidy(flow);
    this.#seatNext();
  }

  get seated(): number {
    return this.#seated;
  }

  get waiting(): number {
    let waiting = 0;
    for (const flow of this.#turn) waiting += flow.waiting.size;
    return waiting;
  }

  #seatNext(): void {
    while (this.#seated < this.#options.seats) {
      let next: Flow | undefined;
      for (const flow of this.#turn) {
        if (flow.seated < this.#options.seatsPerFlow && (!next || flow.seated < next.seated)) next = flow;
      }
      const [onSeated] = next?.waiting ?? [];
      if (!next || !onSeated) return;
      next.waiting.delete(onSeated);
      // To the end of its equals.
      this.#turn.delete(next);
      if (next.waiting.size > 0) this.#turn.add(next);
      this.#seat(next);
      onSeated();
    }
  }

  #seat(flow: Flow): void {
    flow.seated += 1;
    this.#seated += 1;
  }

  #tidy(flow: Flow): void {
    if (flow.waiting.size === 0) this.#turn.delete(flow);
    if (flow.waiting.size === 0 && flow.seated === 0) this.#flows.delete(flow.name);
  }
}
