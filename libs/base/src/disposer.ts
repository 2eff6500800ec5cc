type Teardown = () => void | Promise<void>;

/**
 * Undoes what was set up, last first. A teardown registered after disposal runs at once, so a resource
 * that arrives late (a socket that opened during shutdown) is never leaked. Every teardown runs even when
 * another fails; the failures come back together as an AggregateError.
 */
export class Disposer {
  readonly #teardowns: Teardown[] = [];
  #disposal: Promise<void> | undefined;

  add(teardown: Teardown): void {
    if (this.#disposal) void teardown();
    else this.#teardowns.push(teardown);
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#run();
    return this.#disposal;
  }

  async #run(): Promise<void> {
    const failures: unknown[] = [];
    for (let teardown = this.#teardowns.pop(); teardown; teardown = this.#teardowns.pop()) {
      try {
        await teardown();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'Not everything could be torn down');
  }
}
