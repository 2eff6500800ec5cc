import { formatAge, formatDuration, formatLongDuration } from './age.ts';
import { formatSize } from './size.ts';

describe('durations', () => {
  it.each([
    [-5, '0 s'],
    [120, '0.1 s'],
    [999, '0.9 s'],
    [8_900, '8 s'],
    [59_999, '59 s'],
    [180_000, '3 min'],
    [3_599_000, '59 min'],
    [7_300_000, '2 h'],
    [86_400_000 * 9, '9 d'],
    [86_400_000 * 800, '2 y'],
    [NaN, '–'],
  ])('%d ms reads %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    [59_000, '59 s'],
    [3_600_000, '1 h'],
    [11_520_000, '3 h 12 min'],
    [187_200_000, '2 d 4 h'],
  ])('%d ms reads %s where there is room', (ms, text) => {
    expect(formatLongDuration(ms)).toBe(text);
  });

  it('an age that is not known is a dash', () => {
    expect(formatAge(undefined, new Date(0))).toBe('–');
    expect(formatAge('1970-01-01T00:00:00Z', new Date(8000))).toBe('8 s');
  });
});

describe('sizes', () => {
  it.each([
    [undefined, '–'],
    [0, '0 B'],
    [999, '999 B'],
    [1000, '0.98 KiB'],
    [1024, '1 KiB'],
    [1_992_295, '1.9 MiB'],
    [128 * 2 ** 20, '128 MiB'],
    [1000 * 2 ** 20, '0.98 GiB'],
    [2047 * 2 ** 20, '2 GiB'],
    [12.34 * 2 ** 30, '12.3 GiB'],
  ])('%p bytes read %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});
