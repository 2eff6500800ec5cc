import { PagerWatch, type PagerSign } from './pager-watch.ts';

const sign = (change: Partial<PagerSign> = {}): ReadonlyMap<string, PagerSign> => new Map([['a', { pid: 7, beat: 'one', isStopped: false, ...change }]]);
const looks = (watch: PagerWatch, ...signs: ReadonlyMap<string, PagerSign>[]): readonly string[] => signs.map((one) => watch.look(one)).at(-1) ?? [];

describe('the watch over pagers', () => {
  it('finds one that does not go on', () => {
    const watch = new PagerWatch();
    expect(looks(watch, sign(), sign(), sign(), sign())).toEqual([]);
    expect(watch.look(sign())).toEqual(['a']);
  });

  it.each<[string, ReadonlyMap<string, PagerSign>]>([
    ['one that goes on', sign({ beat: 'two' })],
    ['another process', sign({ pid: 8 })],
    ['a machine without a pager', sign({ beat: undefined })],
    ['a process that was stopped from outside', sign({ isStopped: true })],
    ['a machine that has gone', new Map()],
  ])('leaves %s alone', (_, other) => {
    const watch = new PagerWatch();
    expect(looks(watch, sign(), sign(), sign(), sign(), other)).toEqual([]);
    expect(looks(watch, sign(), sign(), sign(), sign())).toEqual([]);
  });
});
