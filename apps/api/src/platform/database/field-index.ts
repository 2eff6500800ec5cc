import { indexedValues, type FieldValue } from '@corral/api-machinery';
import type { KindDefinition, KubeObject } from '@corral/contracts';

/** Objects of one kind by the values of its indexed fields. */
export class FieldIndex {
  readonly #kind: KindDefinition;
  /** Field and value → objects by uid. */
  readonly #groups = new Map<string, Map<string, KubeObject>>();
  readonly #keys = new Map<string, readonly string[]>();

  constructor(kind: KindDefinition) {
    this.#kind = kind;
  }

  /** In the order lists have. */
  find(field: FieldValue): readonly KubeObject[] {
    return [...(this.#groups.get(fieldKeyOf(field))?.values() ?? [])].sort((a, b) => compare(a.metadata.namespace, b.metadata.namespace) || compare(a.metadata.name, b.metadata.name));
  }

  put(object: KubeObject): void {
    const { uid } = object.metadata;
    const keys = indexedValues(this.#kind, object).map(fieldKeyOf);
    for (const key of this.#keys.get(uid) ?? []) if (!keys.includes(key)) this.#drop(key, uid);
    if (keys.length === 0) this.#keys.delete(uid);
    else this.#keys.set(uid, keys);
    for (const key of keys) {
      const group = this.#groups.get(key);
      if (group) group.set(uid, object);
      else this.#groups.set(key, new Map([[uid, object]]));
    }
  }

  remove({ metadata: { uid } }: KubeObject): void {
    for (const key of this.#keys.get(uid) ?? []) this.#drop(key, uid);
    this.#keys.delete(uid);
  }

  #drop(key: string, uid: string): void {
    const group = this.#groups.get(key);
    group?.delete(uid);
    if (group?.size === 0) this.#groups.delete(key);
  }
}

export const fieldKeyOf = ({ field, value }: FieldValue): string => `${field}=${value}`;
const compare = (a = '', b = ''): number => (a < b ? -1 : a > b ? 1 : 0);
