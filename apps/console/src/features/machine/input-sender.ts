import { send } from '../../api/request.ts';
import { bodyOf, enqueue, type ScreenInput } from './screen-input.ts';

/** Sends input in order, one request at a time; what comes meanwhile is joined, so that a slow link never piles up. */
export class InputSender {
  readonly #path: string;
  readonly #sent: () => void;
  readonly #failed: (error: unknown) => void;
  #waiting: readonly ScreenInput[] = [];
  #busy = false;

  constructor(path: string, on: { readonly sent: () => void; readonly failed: (error: unknown) => void }) {
    this.#path = path;
    this.#sent = on.sent;
    this.#failed = on.failed;
  }

  push(input: ScreenInput): void {
    this.#waiting = enqueue(this.#waiting, input);
    void this.#drain();
  }

  async #drain(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      this.#waiting = this.#waiting.slice(1);
      try {
        await send(this.#path, { method: 'POST', body: bodyOf(next) });
        this.#sent();
      } catch (error) {
        // What was typed blind would arrive out of its context later.
        this.#waiting = [];
        this.#failed(error);
      }
    }
    this.#busy = false;
  }
}
