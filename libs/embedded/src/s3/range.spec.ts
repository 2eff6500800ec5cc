import { parseRange } from './range.ts';

describe('parseRange', () => {
  it.each([
    [undefined, 10, undefined],
    ['bytes=0-3', 10, { first: 0, last: 3 }],
    ['bytes=5-', 10, { first: 5, last: 9 }],
    ['bytes=5-99', 10, { first: 5, last: 9 }],
    ['bytes=-3', 10, { first: 7, last: 9 }],
    ['bytes=-30', 10, { first: 0, last: 9 }],
    ['bytes=10-', 10, 'Unsatisfiable'],
    ['bytes=-0', 10, 'Unsatisfiable'],
    ['bytes=0-', 0, 'Unsatisfiable'],
    ['bytes=4-3', 10, undefined],
    ['bytes=0-1,3-4', 10, undefined],
    ['lines=0-1', 10, undefined],
  ])('reads %s of %d bytes as %j', (header, sizeBytes, expected) => {
    expect(parseRange(header, sizeBytes)).toEqual(expected);
  });
});
