import type { KindDefinition, KubeObject, WatchEvent } from '@corral/contracts';
import { matchesFields, parseFieldSelector, requiredField, requiredName, type FieldRequirement, type FieldValue } from './field-selector.ts';
import { matchesLabels, parseLabelSelector, requiredLabels, type LabelRequirement } from './label-selector.ts';
import type { Change } from './store.ts';

/** Which objects of a kind a list or watch is about. */
export class Selection {
  readonly kind: KindDefinition;
  readonly namespace: string | undefined;
  readonly #labels: readonly LabelRequirement[];
  readonly #fields: readonly FieldRequirement[];

  constructor(kind: KindDefinition, options: { namespace?: string | undefined; labelSelector?: string | undefined; fieldSelector?: string | undefined }) {
    this.kind = kind;
    this.namespace = kind.scope === 'Namespaced' ? options.namespace : undefined;
    this.#labels = parseLabelSelector(options.labelSelector);
    this.#fields = parseFieldSelector(kind, options.fieldSelector);
  }

  get isWholeCollection(): boolean {
    return this.#labels.length === 0 && this.#fields.length === 0;
  }

  /** What a store can look up; `matches` still decides. */
  get index(): { readonly name: string | undefined; readonly labels: Readonly<Record<string, string>>; readonly field: FieldValue | undefined } {
    return { name: requiredName(this.#fields), labels: requiredLabels(this.#labels), field: requiredField(this.kind, this.#fields) };
  }

  matches(object: KubeObject): boolean {
    return (
      (this.namespace === undefined || object.metadata.namespace === this.namespace) &&
      matchesLabels(this.#labels, object.metadata.labels) &&
      matchesFields(this.kind, this.#fields, object)
    );
  }

  /**
   * What a change means to someone who watches this selection: an object that starts to match is ADDED, one that stops is
   * DELETED as it was last seen, with the version of the change. Undefined when it is none of their business.
   */
  eventOf(change: Change): WatchEvent | undefined {
    const before = change.previous !== undefined && this.matches(change.previous);
    if (change.type === 'DELETED') return before ? { type: 'DELETED', object: change.object } : undefined;
    const now = this.matches(change.object);
    if (now) return { type: before ? 'MODIFIED' : 'ADDED', object: change.object };
    if (!before || !change.previous) return undefined;
    const { previous, resourceVersion } = change;
    return { type: 'DELETED', object: { ...previous, metadata: { ...previous.metadata, resourceVersion: String(resourceVersion) } } };
  }
}
