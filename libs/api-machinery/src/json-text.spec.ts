import fc from 'fast-check';
import { inspectJson, MAX_DEPTH } from './json-text.ts';

it.each([
  ['{"a":1,"b":2}', []],
  ['{"a":1,"a":2}', ['a']],
  ['{"a":{"b":1,"b":{"c":1,"c":2}},"a":3}', ['a.b', 'a.b.c', 'a']],
  ['{"a":[{"b":1,"b":2},{"b":1}]}', ['a[0].b']],
  ['{"a":"{\\"b\\":1,\\"b\\":2}"}', []],
  ['{"\\u0061":1,"a":2}', ['a']],
  ['{"a":"}","b":["]","{"]}', []],
])('finds the keys of %s that stand twice', (text, duplicates) => {
  expect(inspectJson(text).duplicates).toEqual(duplicates);
});

it('finds none in what JSON.stringify wrote, however it nests and whatever its keys are', () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => expect(inspectJson(JSON.stringify(value)).duplicates).toEqual([])));
});

it('measures depth, and stops looking where it is too deep', () => {
  expect(inspectJson('{"a":[{"b":[]}]}').depth).toBe(4);
  expect(inspectJson('['.repeat(1_000_000)).depth).toBe(MAX_DEPTH + 1);
});
