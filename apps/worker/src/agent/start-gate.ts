import { type ObjectKey } from '@corral/contracts';

export interface StartGateOptions {
  /** How many start at a time: more than there are cores would only slow each other down. */
  readonly limit: number;
  /** The machine's turn has come: look at it again. */
  onTurn(key: ObjectKey): void;
  /** How long a machine had to wait for its turn; 0 where it had not. */
  onAdmitted(waitedMs: number): void;
  /** Milliseconds that only go forward. */
  nowMs(): number;
  /** Calls after so long, unless the function returned is called before. */
  after(milliseconds: number, call: () => void): () => void;
}

/** A start that takes longer, such as one of a guest that does not answer, keeps nobody else waiting. */
export const MAX_TURN_MS = 10_000;

/**
 * Lets so many machines start or wake up at a time, the others in the order they came: twenty at once on two cores are each
 * ready sooner than if all of them ran at a tenth of their speed.
 */
export class StartGate {
  readonly #options: StartGateOptions;
  /** In the order they came. */
  readonly #waiting = new Map<string, { readonly key: ObjectKey; readonly sinceMs: number }>();
  /** Those whose turn it is, each with what calls off its deadline. */
  readonly #underWay = new Map<string, () => void>();

  constructor(options: StartGateOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** Whether this machine may start now. One that may not is looked at again when its turn comes; one that may holds its turn until `leave`. */
  enter(uid: string, key: ObjectKey): boolean {
    if (this.#underWay.has(uid)) return true;
    if (!this.#waiting.has(uid)) this.#waiting.set(uid, { key, sinceMs: this.#options.nowMs() });
    this.#admit(uid);
    return this.#underWay.has(uid);
  }

  /** It has started, or does not want to any more. */
  leave(uid: string): void {
    this.#waiting.delete(uid);
    const cancelDeadline = this.#underWay.get(uid);
    if (!cancelDeadline) return;
    cancelDeadline();
    this.#underWay.delete(uid);
    this.#admit();
  }

  /** `asking` hears of its turn by the answer. */
  #admit(asking?: string): void {
    for (const [uid, { key, sinceMs }] of this.#waiting) {
      if (this.#underWay.size >= this.#options.limit) return;
      this.#waiting.delete(uid);
      this.#underWay.set(uid, this.#options.after(MAX_TURN_MS, () => this.leave(uid)));
      this.#options.onAdmitted(this.#options.nowMs() - sinceMs);
      if (uid !== asking) this.#options.onTurn(key);
    }
  }
}
