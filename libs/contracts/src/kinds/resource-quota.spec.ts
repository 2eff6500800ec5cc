import { limitRanges } from './limit-range.ts';
import { resourceQuotas, type ResourceQuota } from './resource-quota.ts';
import { parseQuantity } from '../quantity.ts';

describe('a quantity', () => {
  it.each([
    ['10', 10], ['1.5Gi', 1.5 * 2 ** 30], ['250m', 0.25], ['1e3', 1000], ['1E3', 1000], ['2E', 2e18], ['.5', 0.5], ['-1', -1], ['+3k', 3000], ['0', 0], ['1Ei', 2 ** 60],
  ])('%s says %d', (text, value) => expect(parseQuantity(text)).toBe(value));
  it.each(['', 'ten', '1 Gi', '1GiB', '1.2.3', '--1', '1e', 'Gi', 'NaN', 'Infinity', '0x10', '1e9999'])('"%s" says nothing', (text) => expect(parseQuantity(text)).toBeUndefined());
});

describe('what a quota may limit', () => {
  const quota = (hard: Record<string, string>, spec = {}): ResourceQuota => ({ apiVersion: 'v1', kind: 'ResourceQuota', metadata: {} as never, spec: { hard, ...spec } });
  it('refuses negative and broken amounts by name', () => {
    expect(resourceQuotas.validate?.(quota({ pods: '-1', 'count/secrets': '1.5', 'requests.memory': '1.5Gi' }), undefined).map(({ field }) => field)).toEqual(['spec.hard[pods]', 'spec.hard[count/secrets]']);
  });
  it('refuses scopes', () => {
    expect(resourceQuotas.validate?.(quota({}, { scopes: ['Terminating'], scopeSelector: { matchExpressions: [] } }), undefined).map(({ field }) => field)).toEqual(['spec.scopes', 'spec.scopeSelector']);
  });
});

describe('a limit range', () => {
  it('refuses limits that contradict each other, each by name', () => {
    const problems = limitRanges.validate?.({
      apiVersion: 'v1', kind: 'LimitRange', metadata: {} as never,
      spec: { limits: [{ type: 'VirtualMachine', min: { memory: '2Gi' }, max: { memory: '1Gi' }, default: { memory: '512Mi' } }, { type: 'Pod', default: { memory: '1Gi' }, maxLimitRequestRatio: { memory: '0.5' } }] },
    }, undefined);
    expect(problems?.map(({ field }) => field)).toEqual(['spec.limits[0].min[memory]', 'spec.limits[0].min[memory]', 'spec.limits[1].maxLimitRequestRatio[memory]', 'spec.limits[1].default']);
  });
});
