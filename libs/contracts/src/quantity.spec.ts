import { describeBytes, formatBytes, parseBytes } from './quantity.ts';

describe('quantities of bytes', () => {
  it.each([
    ['128Mi', 134217728],
    ['1G', 1000000000],
    ['1.5Gi', 1610612736],
    ['512', 512],
    ['0', 0],
    ['8.120k', 8120],
    ['1.000001T', 1000001000000],
  ])('%s is %d bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  it.each(['', 'Mi', '-1Mi', '1mi', '0.3', '1e400', '12 Mi', '8.1205k', '9007199254740993', '1'.repeat(65)])('%p is no quantity of bytes', (text) =>
    expect(parseBytes(text)).toBeUndefined(),
  );

  it.each([
    [0, '0'],
    [1023, '1020'],
    [23214922, '22.1Mi'],
    [2 ** 30, '1Gi'],
  ])('%d bytes read as %s', (bytes, text) => expect(describeBytes(bytes)).toBe(text));

  it('what is formatted parses back to the same number', () => {
    for (const bytes of [0, 1, 1023, 1024, 2 ** 20, 3 * 2 ** 30, 2047 * 2 ** 20, 123456789]) {
      expect(parseBytes(formatBytes(bytes))).toBe(bytes);
    }
  });
});
