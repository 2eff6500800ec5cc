import { ObjectStoreFailure } from './failure.ts';

/**
 * A deadline that moves with progress: aborts when nothing was reported for `timeoutMs`. A transfer may take hours, as long
 * as bytes flow. Aborts too when the caller's signal does, with the caller's reason.
 */
export class ProgressDeadline {
  readonly #operation: string;
  readonly #timeoutMs: number;
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(operation: string, timeoutMs: number, caller?: AbortSignal) {
    this.#operation = operation;
    this.#timeoutMs = timeoutMs;
    this.#caller = caller;
    this.advance();
    if (caller?.aborted) this.#follow();
    else caller?.addEventListener('abort', this.#follow, { once: true });
  }

  readonly #follow = (): void => {
    this.#controller.abort(this.#caller?.reason);
  };

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** There was progress, or the wait goes on after a `pause`. */
  advance(): void {
    clearTimeout(this.#timer);
    // What was under way when somebody gave up may still move for a moment.
    if (this.#hasEnded) return;
    this.#timer = setTimeout(() => {
      const seconds = this.#timeoutMs / 1000;
      this.#controller.abort(new ObjectStoreFailure('Timeout', `${this.#operation}: no progress for ${seconds} s`));
    }, this.#timeoutMs);
  }

  /** The other side is not who we wait for. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener('abort', this.#follow);
  }

  /** What an abort says is the cause, rather than the AbortError it made. */
  causeOf(error: unknown): unknown {
    return this.signal.aborted ? this.signal.reason : error;
  }
}
