import { UsageError } from '../usage-error.ts';
import { namesOf } from './fork.ts';

it('names are taken as given', () => expect(namesOf('demo', ['left', 'right'], undefined)).toEqual(['left', 'right']));

it('names are made up, each once', () => {
  const names = namesOf('demo', [], 10);
  expect(new Set(names).size).toBe(10);
  for (const name of names) expect(name).toMatch(/^demo-[0-9a-f]{4}-\d+$/);
});

it('one copy is made when nothing else is said', () => expect(namesOf('demo', [], undefined)).toHaveLength(1));

it('a count that contradicts the names is refused', () => expect(() => namesOf('demo', ['left'], 2)).toThrow(UsageError));
