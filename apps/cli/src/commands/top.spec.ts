import { draw, type Figure } from './top.ts';

const figures: readonly Figure[] = [
  { name: 'idle', namespace: 'a', cpuCores: 0.001, memoryBytes: 64 * 2 ** 20 },
  { name: 'busy', namespace: 'b', cpuCores: 0.9, memoryBytes: 32 * 2 ** 20 },
];

it.each([
  ['cpu', ['busy', 'idle']],
  ['memory', ['idle', 'busy']],
  ['name', ['idle', 'busy']],
] as const)('by %s', (sort, names) => expect(draw(figures, { sort, output: 'name' }, false).split('\n')).toEqual(names));

it('shows the namespace where there are several', () => {
  expect(draw(figures, { sort: 'name' }, true)).toBe('NAMESPACE   NAME   CPU(CORES)   MEMORY\na           idle   1m           64Mi\nb           busy   900m         32Mi');
});

it('says so where there are no figures yet', () => expect(draw([], { sort: 'cpu' }, false)).toMatch(/No figures yet/));
