import { isLabelValue, isQualifiedName } from '@corral/contracts';
import { malformed } from './refusals.ts';

/** One requirement of a label selector. Source: k8s.io/apimachinery/pkg/labels, Requirement. */
export type LabelRequirement =
  | { readonly key: string; readonly operator: 'In' | 'NotIn'; readonly values: readonly string[] }
  | { readonly key: string; readonly operator: 'Exists' | 'DoesNotExist' };

const SET = /^([^\s,()!=]+)\s+(in|notin)\s*\(([^()]*)\)$/;
const EQUALITY = /^([^\s,()!=]+)\s*(==|=|!=)\s*([^\s,()!=]*)$/;
const EXISTENCE = /^(!?)\s*([^\s,()!=]+)$/;

/** Parses `app=demo,tier in (a, b),!legacy`. A bad one is refused with 400. */
export function parseLabelSelector(text: string | undefined): readonly LabelRequirement[] {
  if (!text?.trim()) return [];
  return splitTopLevel(text).map((part) => checked(parseRequirement(part.trim()), text));
}

/** Commas outside parentheses. */
function splitTopLevel(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '(') depth += 1;
    else if (text[at] === ')') depth -= 1;
    else if (text[at] === ',' && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function parseRequirement(part: string): LabelRequirement {
  const set = SET.exec(part);
  if (set) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim());
    return { key: set[1] ?? '', operator: set[2] === 'in' ? 'In' : 'NotIn', values };
  }
  const equality = EQUALITY.exec(part);
  if (equality) return { key: equality[1] ?? '', operator: equality[2] === '!=' ? 'NotIn' : 'In', values: [equality[3] ?? ''] };
  const existence = EXISTENCE.exec(part);
  if (existence) return { key: existence[2] ?? '', operator: existence[1] ? 'DoesNotExist' : 'Exists' };
  throw malformed(`unable to parse requirement: "${part}" is no label requirement such as key=value, key in (a, b), key or !key`);
}

function checked(requirement: LabelRequirement, text: string): LabelRequirement {
  const values = 'values' in requirement ? requirement.values : [];
  if (!isQualifiedName(requirement.key) || !values.every(isLabelValue)) {
    throw malformed(`unable to parse requirement: "${text}" has a key or value that no label can have`);
  }
  return requirement;
}

/** Whether labels meet every requirement. `!=` and `notin` are met by objects without the key too. */
export function matchesLabels(requirements: readonly LabelRequirement[], labels: Readonly<Record<string, string>> = {}): boolean {
  return requirements.every((requirement) => {
    const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
    switch (requirement.operator) {
      case 'In':
        return value !== undefined && requirement.values.includes(value);
      case 'NotIn':
        return value === undefined || !requirement.values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
    }
  });
}

/** The labels every match must have with exactly this value: what an index can look up. */
export function requiredLabels(requirements: readonly LabelRequirement[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    requirements.flatMap((requirement) =>
      requirement.operator === 'In' && requirement.values.length === 1 ? [[requirement.key, requirement.values[0] ?? '']] : [],
    ),
  );
}
