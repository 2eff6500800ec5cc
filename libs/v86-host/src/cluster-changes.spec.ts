import fc from 'fast-check';
import { type ChangeScope, ClusterChanges } from './cluster-changes.ts';

type Step =
  | { readonly type: 'Write'; readonly number: number }
  | { readonly type: 'Snapshot'; readonly scope: ChangeScope; readonly kept: boolean; readonly meanwhile: readonly number[] };

const number = fc.nat(7);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: number.map((written): Step => ({ type: 'Write', number: written })) },
  fc.record({
    type: fc.constant('Snapshot' as const),
    scope: fc.constantFrom<ChangeScope>('Everything', 'SinceBase', 'SinceSnapshot'),
    kept: fc.boolean(),
    meanwhile: fc.array(number, { maxLength: 3 }),
  }),
);

/** A disk, what of it the snapshots that were kept hold, as layers, and what a restore from them would see. */
it('whatever was written, kept or lost in between: base and layers together are always the disk as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(number, fc.boolean())), fc.array(step, { maxLength: 40 }), (restored, steps) => {
      const changes = new ClusterChanges();
      const disk = new Map<number, number>();
      let version = 0;
      let layers: ReadonlyMap<number, number>[] = [new Map(), new Map()];
      for (const [at, isInBase] of restored) {
        if (disk.has(at)) continue;
        disk.set(at, ++version);
        changes.noteRestored(at, isInBase);
        layers = layers.map((layer, index) => ((index === 0) === isInBase ? new Map([...layer, [at, version]]) : layer));
      }
      const write = (at: number): void => {
        disk.set(at, ++version);
        changes.note(at);
      };
      for (const next of steps) {
        if (next.type === 'Write') {
          write(next.number);
          continue;
        }
        const moment = new Map(disk);
        const taken = changes.take(next.scope);
        next.meanwhile.forEach(write);
        if (next.kept) taken.keep();
        else taken.giveUp();
        if (!next.kept) continue;
        const layer = new Map(taken.numbers.map((at) => [at, moment.get(at) ?? 0]));
        const below = { Everything: [], SinceBase: layers.slice(0, 1), SinceSnapshot: layers }[next.scope];
        layers = [...below, layer];
        expect(new Map([...new Map(layers.flatMap((one) => [...one]))].sort())).toEqual(new Map([...moment].sort()));
      }
    }),
    { numRuns: 500 },
  );
});

it('holds in a snapshot only what changed since the last', () => {
  const changes = new ClusterChanges();
  changes.noteRestored(1, true);
  changes.noteRestored(2, false);
  changes.note(3);
  const first = changes.take('SinceSnapshot');
  first.keep();
  changes.note(1);
  expect([first.numbers, changes.take('SinceSnapshot').numbers]).toEqual([[3], [1]]);
  expect(new Set(changes.take('SinceBase').numbers)).toEqual(new Set([1, 2, 3]));
});
