import fc from 'fast-check';
import { LayerStack } from './layer-stack.ts';
import { layerPlan, MAX_LAYERS_WRITTEN } from './layer-plan.ts';
import type { Layer } from './manifest.ts';

const layers = fc.array(fc.uniqueArray(fc.oneof(fc.nat(40), fc.nat(0x1fff_ffff)), { maxLength: 20 }).map((numbers) => Uint32Array.from(numbers)), { maxLength: 6 });

it('says for each number the last layer that holds it', () => {
  fc.assert(
    fc.property(layers, fc.nat(40), (stack, other) => {
      const found = new LayerStack(stack);
      for (const number of [...stack.flatMap((numbers) => [...numbers]), other]) {
        const expected = stack.findLastIndex((numbers) => numbers.includes(number));
        expect(found.layerOf(number)).toBe(expected < 0 ? undefined : expected);
        stack.forEach((_numbers, layer) => expect(found.shows(layer, number)).toBe(layer === expected));
      }
    }),
  );
});

it('shows each number exactly once, in some layer', () => {
  fc.assert(
    fc.property(layers, (stack) => {
      const found = new LayerStack(stack);
      const shown = stack.flatMap((numbers, layer) => [...numbers].filter((number) => found.shows(layer, number)));
      expect(shown.sort((a, b) => a - b)).toEqual([...found.numbers()]);
      expect(new Set(shown).size).toBe(shown.length);
    }),
  );
});

it('refuses a layer that holds a number twice: which one would count?', () => {
  for (const number of [3, 0x1fff_ffff]) expect(() => new LayerStack([Uint32Array.of(1), Uint32Array.of(number, number)])).toThrow(expect.objectContaining({ reason: 'SnapshotCorrupt' }));
});

describe('A machine that takes one snapshot after the other', () => {
  let count = 0;
  const layer = (content: ReadonlyMap<number, number>): Layer & { content: ReadonlyMap<number, number> } => ({ sha256: String((count += 1)), sizeBytes: 0, pieces: content.size, key: '', content });
  type Written = ReturnType<typeof layer>;

  it('finds in each of them what it was then, in at most eight layers, the first of which stays, and on none that is lost', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ writes: fc.array(fc.tuple(fc.nat(15), fc.nat(255)), { minLength: 1, maxLength: 4 }), lost: fc.array(fc.nat(7), { maxLength: 2 }) }), { minLength: 1, maxLength: 40 }), fc.boolean(), (history, isEverLost) => {
        const now = new Map<number, number>();
        let [sinceBase, sinceSnapshot] = [new Set<number>(), new Set<number>()];
        let inherited: readonly Layer[] = [];
        for (const { writes, lost } of history) {
          for (const [page, value] of writes) {
            now.set(page, value);
            sinceBase.add(page);
            sinceSnapshot.add(page);
          }
          const gone = new Set(isEverLost ? lost.flatMap((at) => inherited[at]?.sha256 ?? []) : []);
          const { scope, below } = layerPlan(inherited, gone);
          for (const { sha256 } of below) expect(gone.has(sha256)).toBe(false);
          const changed = { Everything: new Set(now.keys()), SinceBase: sinceBase, SinceSnapshot: sinceSnapshot }[scope];
          if (scope === 'Everything') sinceBase = new Set();
          sinceSnapshot = new Set();
          const taken = [...below, layer(new Map([...changed].map((page) => [page, now.get(page) ?? 0])))] as Written[];
          const stack = new LayerStack(taken.map(({ content }) => Uint32Array.from(content.keys())));
          for (const [page, value] of now) expect(taken[stack.layerOf(page) ?? -1]?.content.get(page)).toBe(value);
          expect(taken.length).toBeLessThanOrEqual(MAX_LAYERS_WRITTEN);
          if (inherited[0] && !gone.has(inherited[0].sha256)) expect(taken[0]).toBe(inherited[0]);
          inherited = taken;
        }
      }),
    );
  });
});
