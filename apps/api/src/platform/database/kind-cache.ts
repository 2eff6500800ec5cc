import type { Change, StoreQuery } from '@corral/api-machinery';
import type { KindDefinition, KubeObject } from '@corral/contracts';
import { FieldIndex } from './field-index.ts';
import { frozen } from './frozen.ts';
import { weightOf } from './weight.ts';

/** One namespace's objects of a kind: by name, and in the order of their names. */
interface Shelf {
  readonly byName: Map<string, KubeObject>;
  readonly ordered: KubeObject[];
}

export type CacheQuery = Omit<StoreQuery, 'at'>;

/** A copy of all objects of one kind, in the order lists have: by namespace and name, both ASCII, so in the database's order too. */
export class KindCache {
  /** The copy is complete as of this version, and of every later change it was given. */
  readonly loadedAt: number;
  readonly #shelves = new Map<string, Shelf>();
  readonly #namespaces: string[] = [];
  readonly #index: FieldIndex | undefined;
  #lastChange: number;
  #weight = 0;

  constructor(kind: KindDefinition, objects: readonly KubeObject[], loadedAt: number) {
    this.#index = kind.indexedFields ? new FieldIndex(kind) : undefined;
    this.loadedAt = loadedAt;
    this.#lastChange = loadedAt;
    for (const object of objects) this.#put(object);
  }

  /** Nothing of this kind has changed after this version, as far as is known here. */
  get lastChange(): number {
    return this.#lastChange;
  }

  get size(): number {
    let size = 0;
    for (const { ordered } of this.#shelves.values()) size += ordered.length;
    return size;
  }

  /** About how many characters its objects have as JSON. */
  get weight(): number {
    return this.#weight;
  }

  /** Takes a change in; those from before the copy was made are in it already. */
  apply({ resourceVersion, type, object }: Change): void {
    if (resourceVersion <= this.#lastChange) return;
    this.#lastChange = resourceVersion;
    if (type === 'DELETED') this.#remove(object);
    else this.#put(object);
  }

  get(namespace: string, name: string): KubeObject | undefined {
    return this.#shelves.get(namespace)?.byName.get(name);
  }

  /** What a database would answer: `remaining` counts what would follow the page. */
  list({ namespace, name, labels = {}, field, after, limit = Infinity }: CacheQuery): { readonly objects: readonly KubeObject[]; readonly remaining: number } {
    // Few have one value; whoever asked finishes the selection, and never asks such a list for pages.
    if (field && this.#index && !after && limit === Infinity) return { objects: this.#index.find(field), remaining: 0 };
    const wanted = Object.entries(labels);
    const isWanted = ({ metadata }: KubeObject): boolean => wanted.every(([key, value]) => metadata.labels?.[key] === value);
    const objects: KubeObject[] = [];
    let remaining = 0;
    for (const space of namespace === undefined ? this.#namespaces : [namespace]) {
      const shelf = this.#shelves.get(space);
      if (!shelf || (after && space < after.namespace)) continue;
      const start = after?.namespace === space ? firstAfter(shelf.ordered, after.name) : 0;
      let found: readonly KubeObject[] = start === 0 ? shelf.ordered : shelf.ordered.slice(start);
      if (name !== undefined) found = found.filter(({ metadata }) => metadata.name === name);
      if (wanted.length > 0) found = found.filter(isWanted);
      const room = Math.min(found.length, limit - objects.length);
      for (let index = 0; index < room; index += 1) objects.push(found[index] as KubeObject);
      remaining += found.length - room;
    }
    return { objects, remaining };
  }

  #put(object: KubeObject): void {
    const { namespace = '', name } = object.metadata;
    const shelf = this.#shelfOf(namespace);
    const before = shelf.byName.get(name);
    shelf.byName.set(name, frozen(object));
    const at = firstFrom(shelf.ordered, name);
    if (before) shelf.ordered[at] = object;
    else shelf.ordered.splice(at, 0, object);
    this.#index?.put(object);
    this.#weight += weightOf(object) - (before ? weightOf(before) : 0);
  }

  #remove({ metadata: { namespace = '', name } }: KubeObject): void {
    const shelf = this.#shelves.get(namespace);
    const before = shelf?.byName.get(name);
    if (!shelf || !before) return;
    shelf.byName.delete(name);
    this.#index?.remove(before);
    shelf.ordered.splice(firstFrom(shelf.ordered, name), 1);
    this.#weight -= weightOf(before);
    if (shelf.ordered.length > 0) return;
    this.#shelves.delete(namespace);
    this.#namespaces.splice(this.#namespaces.indexOf(namespace), 1);
  }

  #shelfOf(namespace: string): Shelf {
    const known = this.#shelves.get(namespace);
    if (known) return known;
    const shelf = { byName: new Map<string, KubeObject>(), ordered: [] };
    this.#shelves.set(namespace, shelf);
    const at = this.#namespaces.findIndex((other) => other > namespace);
    this.#namespaces.splice(at < 0 ? this.#namespaces.length : at, 0, namespace);
    return shelf;
  }
}

const firstFrom = (ordered: readonly KubeObject[], name: string): number => firstWhere(ordered, (other) => other >= name);
const firstAfter = (ordered: readonly KubeObject[], name: string): number => firstWhere(ordered, (other) => other > name);

/** The first index whose name passes; names that pass all come after those that do not. */
function firstWhere(ordered: readonly KubeObject[], passes: (name: string) => boolean): number {
  let [low, high] = [0, ordered.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (passes(ordered[middle]?.metadata.name ?? '')) high = middle;
    else low = middle + 1;
  }
  return low;
}
