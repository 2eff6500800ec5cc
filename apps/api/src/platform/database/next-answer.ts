/**
 * One question for everyone who asks: whoever comes while it is under way shares the next one, so that every answer is
 * from after its asking, and a crowd costs no more than two questions.
 */
export class NextAnswer<T> {
  readonly #ask: () => Promise<T>;
  #underWay: Promise<unknown> | undefined;
  #next: Promise<T> | undefined;

  constructor(ask: () => Promise<T>) {
    this.#ask = ask;
  }

  get(): Promise<T> {
    this.#next ??= this.#askAfter(this.#underWay);
    return this.#next;
  }

  async #askAfter(underWay: Promise<unknown> | undefined): Promise<T> {
    await underWay;
    // Requests that arrive in the same turn of the event loop share it.
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#next = undefined;
    const answer = this.#ask();
    this.#underWay = answer.catch(() => undefined);
    return answer;
  }
}
