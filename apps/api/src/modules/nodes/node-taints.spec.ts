import fc from 'fast-check';
import { healthTaints, toleranceMs, type NodeHealth, type Taint } from './node-taints.ts';

const now = new Date('2026-01-01T00:00:00Z');
const brief = (taints: readonly Taint[] | undefined): string[] | undefined => taints?.map(({ key, effect }) => `${key}:${effect}`);

describe('healthTaints', () => {
  const health = fc.constantFrom<NodeHealth>('Ready', 'NotReady', 'Unreachable', 'Evicting');
  it('say what the health is and nothing else of it, whatever was said before; taints of people stay', () => {
    const own: Taint = { key: 'mine', effect: 'NoExecute', value: 'x' };
    fc.assert(
      fc.property(fc.array(health, { minLength: 1, maxLength: 5 }), (history) => {
        let taints: Taint[] = [own];
        for (const step of history) taints = healthTaints(taints, step, now) ?? taints;
        const last = history.at(-1) ?? 'Ready';
        const wanted = { Ready: [], NotReady: ['node.kubernetes.io/not-ready:NoSchedule'], Unreachable: ['node.kubernetes.io/unreachable:NoSchedule'], Evicting: ['node.kubernetes.io/unreachable:NoSchedule', 'node.kubernetes.io/unreachable:NoExecute'] }[last];
        expect(brief(taints)?.toSorted()).toEqual(['mine:NoExecute', ...wanted].toSorted());
        expect(healthTaints(taints, last, now)).toBeUndefined();
      }),
    );
  });

  it('keep the time they were added', () => {
    const first = healthTaints([], 'Unreachable', now);
    expect(healthTaints(first, 'Evicting', new Date('2026-01-01T00:01:00Z'))?.map(({ timeAdded }) => timeAdded)).toEqual(['2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z']);
  });
});

describe('toleranceMs', () => {
  const unreachable: Taint = { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' };
  const own: Taint = { key: 'gpu', value: 'a', effect: 'NoExecute' };
  it.each([
    ['nothing said of a lost node', [], unreachable, 30_000],
    ['nothing said of a taint somebody set', [], own, 0],
    ['tolerated for good', [{ key: 'gpu', operator: 'Exists' }], own, Infinity],
    ['tolerated for a while', [{ key: 'gpu', value: 'a', effect: 'NoExecute', tolerationSeconds: 5 }], own, 5_000],
    ['another value', [{ key: 'gpu', value: 'b' }], own, 0],
    ['another effect', [{ key: 'gpu', value: 'a', effect: 'NoSchedule' }], own, 0],
    ['everything, always', [{ operator: 'Exists' }], unreachable, Infinity],
    ['the shortest of several', [{ operator: 'Exists' }, { key: 'gpu', operator: 'Exists', tolerationSeconds: 2 }], own, 2_000],
    ['less than no time', [{ key: 'gpu', operator: 'Exists', tolerationSeconds: -1 }], own, 0],
    ['a value without a key', [{ value: 'a' }], own, 0],
  ] as const)('%s', (_title, tolerations, taint, expected) => {
    expect(toleranceMs(tolerations, taint, 30_000)).toBe(expected);
  });
});
