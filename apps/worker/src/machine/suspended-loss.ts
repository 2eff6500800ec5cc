import { type StartOrigin } from '@corral/vm-lifecycle';

/** What says that bytes are nowhere, or nowhere as they were: waiting alone brings none of them back. */
const LOST: ReadonlySet<string> = new Set(['ObjectMissing', 'DigestMismatch']);

/** For how long what a machine was written out as could not be had. Somebody may bring it back: so it is not given up at once. */
export class SuspendedLoss {
  readonly #afterMs: number;
  #since: Date | undefined;

  constructor(afterMs: number) {
    this.#afterMs = afterMs;
  }

  /** Tells how a preparation failed; true once a suspended state has been lost for that long without an interruption. */
  isFinal(origin: StartOrigin, reason: string, now: Date): boolean {
    if (origin !== 'Suspended' || !LOST.has(reason)) {
      this.#since = undefined;
      return false;
    }
    this.#since ??= now;
    return now.getTime() - this.#since.getTime() >= this.#afterMs;
  }
}
