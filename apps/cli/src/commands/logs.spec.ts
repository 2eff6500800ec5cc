import { lastLines } from './logs.ts';

it.each([
  ['a\nb\nc\n', 2, 'b\nc\n'],
  ['a\nb\nc', 2, 'b\nc'],
  ['a\nb\n', 5, 'a\nb\n'],
  ['a\nb\n', 0, ''],
  ['a\nb\n', undefined, 'a\nb\n'],
])('of %j the last %s lines are %j', (text, count, expected) => expect(lastLines(text, count)).toBe(expected));
