import type { KindDefinition, KubeObject } from '@corral/contracts';
import { malformed } from './refusals.ts';

/** One requirement of a field selector. Source: k8s.io/apimachinery/pkg/fields. */
export interface FieldRequirement {
  readonly field: string;
  readonly negated: boolean;
  readonly value: string;
}

/** Parses `metadata.name=demo,status.phase!=Failed`. Unknown fields and bad syntax are refused with 400. */
export function parseFieldSelector(kind: KindDefinition, text: string | undefined): readonly FieldRequirement[] {
  if (!text?.trim()) return [];
  return text.split(',').filter((part) => part.trim() !== '').map((part) => {
    const match = /^\s*([^=!\s]+)\s*(==|=|!=)\s*(.*?)\s*$/.exec(part);
    if (!match || part.includes('\0')) throw malformed(`invalid field selector: "${part}" is not field=value or field!=value`);
    const requirement = { field: match[1] ?? '', negated: match[2] === '!=', value: match[3] ?? '' };
    if (!ALWAYS.includes(requirement.field) && !Object.hasOwn(kind.selectableFields, requirement.field)) {
      throw malformed(`field label not supported: ${requirement.field}`);
    }
    return requirement;
  });
}
const ALWAYS: readonly string[] = ['metadata.name', 'metadata.namespace'];

export function matchesFields(kind: KindDefinition, requirements: readonly FieldRequirement[], object: KubeObject): boolean {
  return requirements.every(({ field, negated, value }) => (fieldOf(kind, field, object) === value) !== negated);
}

function fieldOf(kind: KindDefinition, field: string, object: KubeObject): string {
  if (field === 'metadata.name') return object.metadata.name;
  if (field === 'metadata.namespace') return object.metadata.namespace ?? '';
  return kind.selectableFields[field]?.(object) ?? '';
}

/** A value of an indexed field. */
export interface FieldValue {
  readonly field: string;
  readonly value: string;
}

/** The value of an indexed field that everything selected has, when the selector says so. Without a value there is no group worth an index. */
export function requiredField(kind: KindDefinition, requirements: readonly FieldRequirement[]): FieldValue | undefined {
  return requirements.find(({ field, negated, value }) => !negated && value !== '' && kind.indexedFields?.includes(field));
}

/** The values of an object's indexed fields; a field without one is left out. */
export function indexedValues(kind: KindDefinition, object: KubeObject): readonly FieldValue[] {
  return (kind.indexedFields ?? []).map((field) => ({ field, value: fieldOf(kind, field, object) })).filter(({ value }) => value !== '');
}

/** The one name that can match, when the selector says so. */
export function requiredName(requirements: readonly FieldRequirement[]): string | undefined {
  return requirements.find(({ field, negated }) => field === 'metadata.name' && !negated)?.value;
}
