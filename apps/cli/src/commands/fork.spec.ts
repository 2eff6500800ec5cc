import { UsageError } from '../usage-error.ts';
import { wishOf } from './fork.ts';

it('names are taken as given', () => expect(wishOf(['left', 'right'], undefined)).toEqual({ names: ['left', 'right'] }));

it('one copy is made when nothing else is said', () => expect(wishOf([], undefined)).toEqual({ count: 1 }));

it('as many as are asked for are made, under names the server makes up', () => expect(wishOf([], 10)).toEqual({ count: 10 }));

it.each([[['left'], 2], [Array.from({ length: 101 }, (_, index) => `copy-${index}`), undefined]])('what cannot be is refused before anything is asked of the server', (names, count) => {
  expect(() => wishOf(names, count)).toThrow(UsageError);
});
