import { poolSizeFor } from './pool-size.ts';

const GIB = 2 ** 30;

it.each([[0, 2], [2 * GIB, 2], [8 * GIB, 8], [16 * GIB, 16], [24 * GIB, 20], [512 * GIB, 20]])('a node with %i bytes for machines has %i processes wait', (bytes, size) => {
  expect(poolSizeFor(bytes)).toBe(size);
});
