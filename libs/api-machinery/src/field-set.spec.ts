import fc from 'fast-check';
import { differenceOf, FieldSetBuilder, intersectionOf, pathsOf, readFieldSet, unionOf, type FieldSet } from './field-set.ts';

/** Few names, so that sets often meet. */
const element = fc.constantFrom('f:a', 'f:b', 'k:{"type":"Ready"}', 'v:"x"');
const path = fc.array(element, { minLength: 1, maxLength: 3 });
const paths = fc.array(path, { maxLength: 6 });

const setOf = (members: readonly (readonly string[])[]): FieldSet => {
  const builder = new FieldSetBuilder();
  for (const member of members) builder.add(member);
  return builder.build();
};
const key = (member: readonly string[]): string => member.join(' ');
const model = (members: readonly (readonly string[])[]): Set<string> => new Set(members.map(key));
/** Members of a set in the model's spelling. */
function membersOf(set: FieldSet, prefix: readonly string[] = []): string[] {
  return Object.entries(set).flatMap(([name, node]) => {
    if (name === '.') return [];
    const here = [...prefix, name];
    const isMember = '.' in node || Object.keys(node).length === 0;
    return [...(isMember ? [key(here)] : []), ...membersOf(node, here)];
  });
}
const sorted = (members: Iterable<string>): string[] => [...members].sort();

it('holds exactly what was added', () => {
  fc.assert(fc.property(paths, (a) => expect(sorted(membersOf(setOf(a)))).toEqual(sorted(model(a)))));
});

it('union, difference and intersection are those of sets of paths', () => {
  fc.assert(
    fc.property(paths, paths, (a, b) => {
      const [left, right] = [model(a), model(b)];
      expect(sorted(membersOf(unionOf(setOf(a), setOf(b))))).toEqual(sorted(new Set([...left, ...right])));
      expect(sorted(membersOf(differenceOf(setOf(a), setOf(b))))).toEqual(sorted([...left].filter((member) => !right.has(member))));
      expect(sorted(membersOf(intersectionOf(setOf(a), setOf(b))))).toEqual(sorted([...left].filter((member) => right.has(member))));
    }),
    { numRuns: 2000 },
  );
});

it('is changed by no operation', () => {
  fc.assert(
    fc.property(paths, paths, (a, b) => {
      const [left, right] = [setOf(a), setOf(b)];
      const before = JSON.stringify([left, right]);
      unionOf(left, right);
      differenceOf(left, right);
      intersectionOf(left, right);
      expect(JSON.stringify([left, right])).toBe(before);
    }),
  );
});

it('is the same set after it was stored and read', () => {
  fc.assert(fc.property(paths, (a) => expect(readFieldSet(JSON.parse(JSON.stringify(setOf(a))))).toEqual(setOf(a))));
});

it.each<[string, unknown]>([
  ['a list', []], ['text', 'f:a'], ['an element of no kind', { 'x:a': {} }], ['a key that is no JSON', { 'k:{': {} }], ['a key that is no object', { 'k:1': {} }],
  ['a value instead of a tree', { 'f:a': 1 }], ['an index that is none', { 'i:x': {} }], ['itself at the top', { '.': {} }],
])('does not read %s', (_what, value) => {
  expect(readFieldSet(value)).toBeUndefined();
});

it('spells a key in one order, and paths as Kubernetes does', () => {
  const set = readFieldSet({ 'f:status': { 'f:conditions': { 'k:{"type":"Ready","a":1}': { '.': {}, 'f:status': {} } } }, 'f:metadata': { 'f:finalizers': { 'v:"x"': {} } }, 'f:list': { 'i:3': {} } });
  expect(pathsOf(set ?? {})).toEqual(['.status.conditions[a=1,type="Ready"]', '.status.conditions[a=1,type="Ready"].status', '.metadata.finalizers[="x"]', '.list[3]']);
});
