/** Objects by one value each; those without a value are in no group. */
export class Index<T> {
  readonly #valueOf: (object: T) => string | undefined;
  readonly #groups = new Map<string, Map<string, T>>();
  readonly #values = new Map<string, string>();

  constructor(valueOf: (object: T) => string | undefined) {
    this.#valueOf = valueOf;
  }

  find(value: string): readonly T[] {
    return [...(this.#groups.get(value)?.values() ?? [])];
  }

  put(key: string, object: T): void {
    const value = this.#valueOf(object);
    if (this.#values.get(key) !== value) this.remove(key);
    if (value === undefined) return;
    this.#values.set(key, value);
    const group = this.#groups.get(value);
    if (group) group.set(key, object);
    else this.#groups.set(value, new Map([[key, object]]));
  }

  remove(key: string): void {
    const value = this.#values.get(key);
    if (value === undefined) return;
    this.#values.delete(key);
    const group = this.#groups.get(value);
    group?.delete(key);
    if (group?.size === 0) this.#groups.delete(value);
  }
}
