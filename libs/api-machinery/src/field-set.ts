import { isRecord } from './field-path.ts';

/**
 * A set of an object's fields, in the form that `metadata.managedFields` keeps (FieldsV1): a tree of path elements. An element
 * without anything below it is a member; one with something below is a member too where it holds `.`.
 *
 * Elements: `f:name` a field, `k:{"type":"Ready"}` the item of a list by its key, `v:"x"` the member of a set, `i:0` an index.
 * Source: sigs.k8s.io/structured-merge-diff, fieldpath.Set and its serialization.
 */
export interface FieldSet {
  readonly [element: string]: FieldSet;
}
interface Growing {
  [element: string]: Growing;
}

export const NO_FIELDS: FieldSet = {};
/** Says that the container itself is a member. */
export const SELF = '.';

export const fieldElement = (name: string): string => `f:${name}`;
export const valueElement = (value: unknown): string => `v:${JSON.stringify(value)}`;
/** Keys in order, so that one item has one spelling. */
export const keyElement = (item: Readonly<Record<string, unknown>>, keys: readonly string[]): string =>
  `k:${JSON.stringify(Object.fromEntries([...keys].sort().map((key) => [key, item[key]])))}`;

export function hasNoFields(set: FieldSet): boolean {
  for (const _element in set) return false;
  return true;
}

/** Collects fields into a set. */
export class FieldSetBuilder {
  readonly #root: Growing = {};

  add(path: readonly string[]): void {
    let node = this.#root;
    let isNew = true;
    for (const [depth, element] of path.entries()) {
      // What stood here without anything below was a member, and stays one.
      if (depth > 0 && !isNew && hasNoFields(node)) node[SELF] = {};
      const next = node[element];
      isNew = next === undefined;
      node = node[element] = next ?? {};
    }
    if (!isNew && !hasNoFields(node)) node[SELF] = {};
  }

  build(): FieldSet {
    return this.#root;
  }
}

const isMember = (node: FieldSet): boolean => SELF in node || hasNoFields(node);

/** A node of what is left below; undefined when nothing is. */
function nodeOf(children: Growing, member: boolean): Growing | undefined {
  if (hasNoFields(children)) return member ? {} : undefined;
  return member ? { [SELF]: {}, ...children } : children;
}

export function unionOf(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b || hasNoFields(b)) return a;
  if (hasNoFields(a)) return b;
  return unionOfChildren(a, b);
}

function unionOfChildren(a: FieldSet, b: FieldSet): Growing {
  const result: Growing = { ...(a as Growing) };
  for (const element in b) {
    const [mine, theirs] = [result[element], b[element] ?? {}];
    result[element] = mine === undefined || element === SELF ? (theirs as Growing) : unionOfNodes(mine, theirs);
  }
  return result;
}

function unionOfNodes(a: FieldSet, b: FieldSet): Growing {
  const children = unionOfChildren(a, b);
  if ((isMember(a) || isMember(b)) && !hasNoFields(children)) children[SELF] ??= {};
  return children;
}

/** The members of `a` that are not members of `b`. The same object when that is all of them. */
export function differenceOf(a: FieldSet, b: FieldSet): FieldSet {
  const children: Growing = {};
  let isSame = true;
  for (const element in a) {
    const mine = a[element] ?? {};
    const theirs = b[element];
    const left = theirs === undefined || element === SELF ? (mine as Growing) : differenceOfNodes(mine, theirs);
    if (left !== mine) isSame = false;
    if (left !== undefined) children[element] = left;
  }
  return isSame ? a : children;
}

function differenceOfNodes(a: FieldSet, b: FieldSet): Growing | undefined {
  const left = differenceOf(a, b);
  const losesSelf = isMember(a) && isMember(b);
  if (left === a && !losesSelf) return a as Growing;
  const { [SELF]: _self, ...children } = left as Growing;
  return nodeOf(children, isMember(a) && !losesSelf);
}

/** The members of both. */
export function intersectionOf(a: FieldSet, b: FieldSet): FieldSet {
  const children: Growing = {};
  for (const element in a) {
    const [mine, theirs] = [a[element], b[element]];
    if (mine === undefined || theirs === undefined || element === SELF) continue;
    const both = nodeOf(intersectionOf(mine, theirs) as Growing, isMember(mine) && isMember(theirs));
    if (both !== undefined) children[element] = both;
  }
  return children;
}

/** The members as messages write them: `.spec.memory`, `.status.conditions[type="Ready"].status`, `.metadata.finalizers["x"]`. */
export function pathsOf(set: FieldSet, prefix = ''): string[] {
  return Object.entries(set).flatMap(([element, node]) => {
    if (element === SELF) return [];
    const path = `${prefix}${elementText(element)}`;
    return [...(isMember(node) ? [path] : []), ...pathsOf(node, path)];
  });
}

function elementText(element: string): string {
  const text = element.slice(2);
  switch (element[0]) {
    case 'f':
      return `.${text}`;
    case 'k':
      return `[${Object.entries(JSON.parse(text) as object).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
    case 'v':
      return `[=${text}]`;
    default:
      return `[${text}]`;
  }
}

const MAX_SET_DEPTH = 100;

/** A set that somebody sent; undefined when it is none. */
export function readFieldSet(value: unknown, depth = 0): FieldSet | undefined {
  if (!isRecord(value) || depth > MAX_SET_DEPTH) return undefined;
  const result: Growing = {};
  for (const [element, below] of Object.entries(value)) {
    const node = readFieldSet(below, depth + 1);
    const spelt = element === SELF && depth > 0 ? element : readElement(element);
    if (node === undefined || spelt === undefined) return undefined;
    result[spelt] = node as Growing;
  }
  return result;
}

function readElement(element: string): string | undefined {
  const text = element.slice(2);
  if (element.startsWith('f:')) return element;
  if (element.startsWith('i:')) return /^\d+$/.test(text) ? element : undefined;
  if (!element.startsWith('k:') && !element.startsWith('v:')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (element.startsWith('v:')) return valueElement(value);
    return isRecord(value) ? keyElement(value, Object.keys(value)) : undefined;
  } catch {
    return undefined;
  }
}
