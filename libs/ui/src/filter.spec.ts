import fc from 'fast-check';
import { matchesFilter, parseFilter, type FilterSubject } from './filter.ts';

const subject: FilterSubject = {
  name: 'desk-ines',
  labels: { app: 'desk', env: 'b' },
  facets: { node: 'worker-2', image: 'debian-desktop', status: 'Failed', reason: 'GuestPanicked: cannot mount root' },
};

describe('the filter language', () => {
  it.each([
    ['', true],
    ['ines', true],
    ['INES', true],
    ['desk ines', true],
    ['desk ana', false],
    ['app=desk', true],
    ['app==desk', true],
    ['app=web', false],
    ['app!=web', true],
    ['app!=desk', false],
    ['tier!=x', true],
    ['tier=x', false],
    ['env in (a,b)', true],
    ['env in (a, c)', false],
    ['env notin (a,c)', true],
    ['env notin (b)', false],
    ['env in(a,b)', true],
    ['node:worker-2', true],
    ['node:worker-1', false],
    ['reason:guestpanicked', true],
    ['status:failed app=desk', true],
    ['flavour:x', false],
    ['app=desk,env=b', true],
    ['app=desk,env=c', false],
    ['app=desk, env=b', true],
  ])('%s selects: %s', (text, expected) => {
    expect(matchesFilter(parseFilter(text), subject)).toBe(expected);
  });

  it('takes any text: half a term while typing is never an error', () => {
    fc.assert(fc.property(fc.string(), (text) => typeof matchesFilter(parseFilter(text), subject) === 'boolean'));
  });

  it('only narrows as terms are added', () => {
    const term = fc.constantFrom(
      'desk',
      'app=desk',
      'app!=web',
      'env in (a,b)',
      'node:worker-2',
      'zzz',
      'env notin (b)',
    );
    fc.assert(
      fc.property(fc.array(term), term, (terms, more) => {
        const before = matchesFilter(parseFilter(terms.join(' ')), subject);
        const after = matchesFilter(parseFilter([...terms, more].join(' ')), subject);
        return before || !after;
      }),
    );
  });
});
