import { ProcessShelf } from './process-shelf.ts';
import { type Rehearsal } from './rehearsal.ts';
import { type VmProcessHandle } from './vm-process.handle.ts';

/** A shelf never looks into a process but for whether it has ended. */
const process = (hasExited = false): VmProcessHandle => ({ hasExited }) as VmProcessHandle;
const rehearsal = (likeness: string): Rehearsal => ({ likeness, start: {} as Rehearsal['start'] });
const [DEBIAN, MINIMAL, OTHER] = [rehearsal('debian'), rehearsal('minimal'), rehearsal('other')] as const;

/** Starts what is missing, as the pool does. */
function fill(shelf: ProcessShelf, nowMs = 0): { readonly made: (string | undefined)[]; readonly ended: number } {
  const made: (string | undefined)[] = [];
  let ended = 0;
  for (let missing = shelf.missing(nowMs); missing; missing = shelf.missing(nowMs)) {
    made.push(missing.rehearsal?.likeness);
    ended += shelf.put(process(), missing.rehearsal, nowMs).length;
  }
  return { made, ended };
}

describe('The shelf of waiting processes', () => {
  it('has plain ones before any machine was started', () => {
    const shelf = new ProcessShelf({ minimum: 2, maximum: 8 });
    expect(fill(shelf).made).toEqual([undefined, undefined]);
    expect(shelf.take(DEBIAN, 0)).toBeDefined();
  });

  it('gives a process that rehearsed to machines that are alike, and to no other', () => {
    const shelf = new ProcessShelf({ minimum: 2, maximum: 2 });
    shelf.take(DEBIAN, 0);
    expect(fill(shelf).made).toEqual(['debian', 'debian']);
    expect(shelf.take(MINIMAL, 0)).toBeUndefined();
    expect(shelf.take(undefined, 0)).toBeUndefined();
    expect(shelf.take(rehearsal('debian'), 0)).toBeDefined();
  });

  it('rehearses what is expected before any machine was started, and what machines need as soon as they come', () => {
    const shelf = new ProcessShelf({ minimum: 2, maximum: 2 });
    shelf.expect(MINIMAL);
    expect(fill(shelf).made).toEqual(['minimal', 'minimal']);
    shelf.take(DEBIAN, 0);
    expect(fill(shelf).made).toEqual(['debian']);
    shelf.take(DEBIAN, 10_000);
    expect(fill(shelf, 10_000).made).toEqual(['debian', 'debian']);
    shelf.expect(OTHER);
    expect(fill(shelf, 10_000).made).toEqual([]);
  });

  it('divides itself among images of which no machine has come yet, and goes over to the one whose machines come', () => {
    const shelf = new ProcessShelf({ minimum: 4, maximum: 4 });
    shelf.expect(DEBIAN);
    shelf.expect(MINIMAL);
    expect(fill(shelf).made.sort()).toEqual(['debian', 'debian', 'minimal', 'minimal']);
    for (let start = 1; start <= 4; start += 1) {
      shelf.take(MINIMAL, start * 10_000);
      fill(shelf, start * 10_000);
    }
    for (let start = 0; start < 4; start += 1) expect(shelf.take(MINIMAL, 50_000)).toBeDefined();
  });

  it('settles on one for each of two images that are used in turn', () => {
    const shelf = new ProcessShelf({ minimum: 2, maximum: 2 });
    shelf.take(DEBIAN, 0);
    fill(shelf);
    for (const [turn, image] of [MINIMAL, DEBIAN, MINIMAL, DEBIAN, MINIMAL].entries()) {
      const found = shelf.take(image, (turn + 1) * 10_000);
      if (turn > 0) expect(found).toBeDefined();
      fill(shelf, (turn + 1) * 10_000);
      expect(shelf.waiting).toBe(2);
    }
  });

  it('never holds more than its maximum, whatever was started', () => {
    const shelf = new ProcessShelf({ minimum: 1, maximum: 3 });
    for (const image of [DEBIAN, MINIMAL, OTHER, DEBIAN, MINIMAL, OTHER, DEBIAN]) {
      shelf.take(image, 0);
      fill(shelf);
      expect(shelf.waiting).toBeLessThanOrEqual(3);
    }
  });

  it('ends what was meant for a burst when that is long ago', () => {
    const shelf = new ProcessShelf({ minimum: 1, maximum: 10 });
    for (let start = 0; start < 5; start += 1) shelf.take(DEBIAN, start);
    fill(shelf, 100);
    expect(shelf.waiting).toBe(5);
    expect(shelf.clear(3_600_000)).toHaveLength(4);
    expect(shelf.waiting).toBe(1);
  });

  it('tries a rehearsal that failed again only when such a machine was started once more', () => {
    const shelf = new ProcessShelf({ minimum: 1, maximum: 1 });
    shelf.take(DEBIAN, 0);
    shelf.forget(DEBIAN);
    expect(fill(shelf).made).toEqual([undefined]);
    shelf.take(DEBIAN, 0);
    expect(fill(shelf).made).toEqual(['debian']);
  });

  it('does not hand out what has ended', () => {
    const shelf = new ProcessShelf({ minimum: 1, maximum: 1 });
    const [ended, alive] = [process(true), process()];
    shelf.put(ended, undefined, 0);
    shelf.put(alive, undefined, 0);
    expect(shelf.take(undefined, 0)).toBe(alive);
    expect(shelf.drop(alive)).toBe(false);
  });
});
