import { type VirtualMachine } from '@corral/contracts';
import { type LostState, type StartOrigin } from '@corral/vm-lifecycle';

/** What says that bytes are nowhere, or nowhere as they were: waiting alone brings none of them back. */
const LOST: ReadonlySet<string> = new Set(['ObjectMissing', 'DigestMismatch', 'SnapshotNotFound']);

/** For how long what a machine is to go on from could not be had. Somebody may bring it back: so it is not given up at once. */
export class StateLoss {
  readonly #afterMs: number;
  #since: Date | undefined;

  constructor(afterMs: number) {
    this.#afterMs = afterMs;
  }

  /** Tells how a preparation failed; says what is lost once that has been so for long without an interruption. */
  given(vm: VirtualMachine, origin: StartOrigin, reason: string, now: Date): LostState | undefined {
    const state = stateOf(vm, origin);
    if (!state || !LOST.has(reason)) {
      this.#since = undefined;
      return undefined;
    }
    this.#since ??= now;
    if (now.getTime() - this.#since.getTime() < this.#afterMs) return undefined;
    // Where it goes on instead is lost only when it, too, has been looked for that long.
    this.#since = undefined;
    return state;
  }
}

/** What would be lost. A snapshot that somebody sent the machine back to is a wish, which only they can change; so is a source. */
function stateOf({ status }: VirtualMachine, origin: StartOrigin): LostState | undefined {
  if (origin === 'Suspended') return { reason: 'SuspendedStateLost' };
  const { continueFrom } = status ?? {};
  return continueFrom && continueFrom.reason !== 'RolledBack' ? { reason: 'ContinuationLost', snapshot: continueFrom.snapshot } : undefined;
}
