import type { KubeObject } from '@corral/contracts';
import { changesBetween, fieldsIn } from './field-changes.ts';
import { isRecord, type JsonRecord } from './field-path.ts';
import { inspectJson, MAX_DEPTH } from './json-text.ts';
import { differenceOf, NO_FIELDS, type FieldSet } from './field-set.ts';
import type { FieldShape } from './field-shape.ts';
import { ownable } from './managed-fields.ts';

/**
 * Where kubectl's client-side apply keeps what it applied. Who goes over to server-side apply with kubectl's own manager
 * has no conflict about those fields, and may go back. Source: k8s.io/apimachinery/pkg/util/managedfields, lastAppliedManager.
 */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const KUBECTL = 'kubectl';

/** The fields that client-side apply wrote and nobody changed since. */
export function fieldsLastApplied(shape: FieldShape, current: KubeObject, manager: string): FieldSet {
  const text = current.metadata.annotations?.[LAST_APPLIED];
  const applied = manager === KUBECTL && text !== undefined ? parse(text) : undefined;
  if (!applied) return NO_FIELDS;
  const { taken, removed } = changesBetween(shape, ownable(applied), ownable(current as unknown as JsonRecord));
  return differenceOf(differenceOf(fieldsIn(shape, ownable(applied)), taken), removed);
}

/** The object with its annotation, if it has one, brought up to what is applied now. */
export function withLastApplied(object: JsonRecord, applied: JsonRecord, manager: string): JsonRecord {
  const metadata = isRecord(object['metadata']) ? object['metadata'] : {};
  const annotations = isRecord(metadata['annotations']) ? metadata['annotations'] : {};
  if (manager !== KUBECTL || annotations[LAST_APPLIED] === undefined) return object;
  return { ...object, metadata: { ...metadata, annotations: { ...annotations, [LAST_APPLIED]: `${JSON.stringify(withoutItself(applied))}\n` } } };
}

function withoutItself(applied: JsonRecord): JsonRecord {
  const metadata = isRecord(applied['metadata']) ? applied['metadata'] : {};
  if (!isRecord(metadata['annotations'])) return applied;
  const { [LAST_APPLIED]: _previous, ...annotations } = metadata['annotations'];
  return { ...applied, metadata: { ...metadata, annotations } };
}

function parse(text: string): JsonRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    // It is anybody's text, and what walks it recurses.
    return isRecord(value) && inspectJson(text).depth <= MAX_DEPTH ? value : undefined;
  } catch {
    return undefined;
  }
}
