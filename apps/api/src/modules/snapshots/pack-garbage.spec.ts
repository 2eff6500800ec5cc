import fc from 'fast-check';
import { isPackReusable, PACK_DELETION_WINDOW_MS, PACK_GRACE_MS, SNAPSHOT_DEADLINE_MS } from '@corral/contracts';
import { PackGarbage } from './pack-garbage.ts';

const T0 = Date.parse('2026-01-01T00:00:00Z');
const OLD = new Date(T0 - 10 * PACK_GRACE_MS);
const look = (garbage: PackGarbage, atMs: number, { modifiedAt = OLD, named = [] as readonly string[] } = {}): string[] =>
  garbage.look({ packs: [{ key: 'p', modifiedAt }], named: new Set(named), now: new Date(T0 + atMs), elapsedMs: atMs });

describe('A pack is due', () => {
  it('once nothing named it over the whole grace', () => {
    const garbage = new PackGarbage();
    expect([look(garbage, 0), look(garbage, PACK_GRACE_MS - 1), look(garbage, PACK_GRACE_MS)]).toEqual([[], [], ['p']]);
  });
  it('never at the first look, however old it is', () => {
    expect(look(new PackGarbage(), 100 * PACK_GRACE_MS)).toEqual([]);
  });
  it('not before it is older than the grace itself', () => {
    const garbage = new PackGarbage();
    look(garbage, 0);
    expect(look(garbage, PACK_GRACE_MS, { modifiedAt: new Date(T0) })).toEqual([]);
    expect(look(garbage, PACK_GRACE_MS + 1, { modifiedAt: new Date(T0) })).toEqual(['p']);
  });
  it('only when it was named at no look in between, and at no moment between two', () => {
    const [garbage, other] = [new PackGarbage(), new PackGarbage()];
    look(garbage, 0);
    look(garbage, PACK_GRACE_MS / 2, { named: ['p'] });
    look(other, 0);
    other.noteNamed(['p']);
    for (const one of [garbage, other]) expect([look(one, PACK_GRACE_MS), look(one, 2 * PACK_GRACE_MS)]).toEqual([[], ['p']]);
  });
  it('not because a clock was set', () => {
    const garbage = new PackGarbage();
    look(garbage, 0);
    expect(garbage.look({ packs: [{ key: 'p', modifiedAt: OLD }], named: new Set(), now: new Date(T0 + 9 * PACK_GRACE_MS), elapsedMs: 1 })).toEqual([]);
  });
  it('not when somebody else had the say meanwhile', () => {
    const garbage = new PackGarbage();
    look(garbage, 0);
    garbage.forget();
    expect(look(garbage, PACK_GRACE_MS)).toEqual([]);
  });
});

/** How long a restore may take to read what it needs (the node's cache has the same limit). */
const RESTORE_DEADLINE_MS = PACK_GRACE_MS / 2;

interface Snapshot {
  layers?: readonly string[];
  ready: boolean;
  deleting: boolean;
}
interface Writing {
  readonly snapshot: Snapshot;
  readonly machine: number;
  readonly begunAt: number;
  readonly layers: readonly string[];
  readonly own: string;
  /** Where it stands: to name its layers, to bring its own pack, to look again, to say Ready. */
  next: 'Name' | 'Bring' | 'Confirm' | 'Finish';
  namedAt: number;
  rewritten: boolean;
}

/** Store, objects, nodes and the sweep, as one world whose every effect is one step; what the components promise each other, and nothing else, holds. */
class World {
  now = 0;
  /** What earlier snapshots left, which nothing names. */
  readonly store = new Map([['a', -2 * PACK_GRACE_MS], ['b', -2 * PACK_GRACE_MS]]);
  readonly snapshots: Snapshot[] = [];
  readonly lineages: (readonly string[] | undefined)[] = [undefined, undefined];
  readonly writings: Writing[] = [];
  readonly restores: { readonly layers: readonly string[]; readonly begunAt: number }[] = [];
  readonly garbage = new PackGarbage();
  listed: { readonly key: string; readonly modifiedAt: Date }[] = [];
  due: readonly string[] = [];
  decided: { readonly keys: readonly string[]; readonly at: number } | undefined;

  get date(): Date {
    return new Date(T0 + this.now);
  }
  private named(): Set<string> {
    return new Set([...this.snapshots.flatMap(({ layers }) => layers ?? []), ...this.lineages.flatMap((layers) => layers ?? [])]);
  }
  /** What the informers tell the sweep of. */
  private tell(layers: readonly string[] | undefined): void {
    this.garbage.noteNamed(layers ?? []);
  }

  begin(machine: number, content: string): void {
    const snapshot: Snapshot = { ready: false, deleting: false };
    this.snapshots.push(snapshot);
    this.writings.push({ snapshot, machine, begunAt: this.now, layers: [...(this.lineages[machine] ?? []).slice(-2), content], own: content, next: 'Name', namedAt: 0, rewritten: false });
  }
  step(index: number): void {
    const one = this.writings[index % Math.max(1, this.writings.length)];
    if (!one) return;
    const isOver = one.snapshot.deleting || this.now - one.begunAt > SNAPSHOT_DEADLINE_MS;
    if (isOver) return void this.writings.splice(this.writings.indexOf(one), 1);
    switch (one.next) {
      case 'Name':
        one.snapshot.layers = one.layers;
        this.tell(one.layers);
        [one.next, one.namedAt] = ['Bring', this.now];
        return;
      case 'Bring': {
        const modified = this.store.get(one.own);
        if (modified === undefined || !isPackReusable(new Date(T0 + modified), this.date)) this.store.set(one.own, this.now);
        one.rewritten = modified !== undefined && this.store.get(one.own) === this.now;
        one.next = one.rewritten ? 'Confirm' : 'Finish';
        return;
      }
      case 'Confirm':
        if (this.now < one.namedAt + PACK_DELETION_WINDOW_MS) return;
        if (!this.store.has(one.own)) this.store.set(one.own, this.now);
        one.next = 'Finish';
        return;
      case 'Finish':
        one.snapshot.ready = true;
        this.tell(one.layers);
        this.lineages[one.machine] = one.layers;
        this.tell(one.layers);
        this.writings.splice(this.writings.indexOf(one), 1);
    }
  }
  crash(index: number): void {
    this.writings.splice(index % Math.max(1, this.writings.length), 1);
  }
  delete(index: number): void {
    const snapshot = this.snapshots[index % Math.max(1, this.snapshots.length)];
    if (!snapshot) return;
    snapshot.deleting = true;
    // The finalizer makes its end two changes, and the first one tells what it named.
    this.tell(snapshot.layers);
    this.snapshots.splice(this.snapshots.indexOf(snapshot), 1);
  }
  end(machine: number): void {
    this.tell(this.lineages[machine]);
    this.lineages[machine] = undefined;
  }
  restore(index: number, machine: number): void {
    const ready = this.snapshots.filter((snapshot) => snapshot.ready);
    const { layers } = ready[index % Math.max(1, ready.length)] ?? {};
    if (!layers) return;
    this.restores.push({ layers, begunAt: this.now });
    if (machine < 2) {
      this.tell(this.lineages[machine]);
      this.lineages[machine] = layers;
      this.tell(layers);
    }
  }
  list(): void {
    this.listed = [...this.store].map(([key, modified]) => ({ key, modifiedAt: new Date(T0 + modified) }));
  }
  judge(): void {
    this.due = this.garbage.look({ packs: this.listed, named: this.named(), now: this.date, elapsedMs: this.now });
    this.listed = [];
  }
  decide(): void {
    const named = this.named();
    this.garbage.noteNamed(named);
    this.decided = { keys: this.due.filter((key) => !named.has(key)), at: this.now };
    this.due = [];
  }
  remove(): void {
    if (this.decided && this.now < this.decided.at + PACK_DELETION_WINDOW_MS) {
      for (const key of this.decided.keys) this.store.delete(key);
      this.garbage.noteGone(this.decided.keys);
    }
    this.decided = undefined;
  }
  lead(): void {
    this.garbage.forget();
    [this.listed, this.due] = [[], []];
  }

  /** What is lost although somebody needs it. */
  lost(): readonly string[] {
    for (let at = this.restores.length - 1; at >= 0; at--) if (this.now - (this.restores[at]?.begunAt ?? 0) > RESTORE_DEADLINE_MS) this.restores.splice(at, 1);
    const needed = [...this.snapshots.filter(({ ready }) => ready).map(({ layers }) => layers), ...this.lineages, ...this.restores.map(({ layers }) => layers)];
    return needed.flatMap((layers) => layers ?? []).filter((key) => !this.store.has(key));
  }
}

type Action = (world: World) => void;
const small = fc.nat({ max: 5 });
const content = fc.constantFrom('a', 'b', 'c');
const MINUTE = 60_000;
const actions: fc.Arbitrary<Action> = fc.oneof(
  fc.constantFrom(1, 1000, 19_999, 20_000, MINUTE, 9 * MINUTE, 29 * MINUTE, 31 * MINUTE, 61 * MINUTE).map((ms): Action => (world) => void (world.now += ms)),
  fc.tuple(fc.nat({ max: 1 }), content).map(([machine, what]): Action => (world) => world.begin(machine, what)),
  { weight: 4, arbitrary: small.map((index): Action => (world) => world.step(index)) },
  fc.tuple(fc.nat({ max: 1 }), content).map(([machine, what]): Action => (world) => {
    world.begin(machine, what);
    const at = world.writings.length - 1;
    for (let steps = 0; steps < 4 && world.writings[at]; steps++) {
      if (world.writings[at].next === 'Confirm') world.now += PACK_DELETION_WINDOW_MS;
      world.step(at);
    }
  }),
  small.map((index): Action => (world) => world.crash(index)),
  { weight: 2, arbitrary: small.map((index): Action => (world) => world.delete(index)) },
  { weight: 2, arbitrary: fc.nat({ max: 1 }).map((machine): Action => (world) => world.end(machine)) },
  fc.tuple(small, fc.nat({ max: 2 })).map(([index, machine]): Action => (world) => world.restore(index, machine)),
  fc.constant<Action>((world) => world.list()),
  fc.constant<Action>((world) => world.judge()),
  fc.constant<Action>((world) => world.decide()),
  fc.constant<Action>((world) => world.remove()),
  { weight: 4, arbitrary: fc.constant<Action>((world) => [world.list(), world.judge(), world.decide(), world.remove()]) },
  { weight: 2, arbitrary: fc.constant<Action>((world) => [world.list(), world.judge(), world.decide()]) },
  // Two looks with the grace between them: from here on, what is due may be removed at any moment.
  { weight: 3, arbitrary: fc.constant<Action>((world) => [world.list(), world.judge(), (world.now += 61 * MINUTE), world.list(), world.judge(), world.decide()]) },
  fc.constant<Action>((world) => world.lead()),
);

describe('Packs and their sweep', () => {
  it('lose nothing that a snapshot, a machine or a restore under way needs, whatever happens in which order', () => {
    let removals = 0;
    let rewrites = 0;
    fc.assert(
      fc.property(fc.array(actions, { minLength: 20, maxLength: 120 }), (schedule) => {
        const world = new World();
        for (const act of schedule) {
          const before = world.store.size;
          act(world);
          if (world.store.size < before) removals += 1;
          if (world.writings.some(({ rewritten }) => rewritten)) rewrites += 1;
          expect(world.lost()).toEqual([]);
        }
      }),
      { numRuns: 2000 },
    );
    // A schedule in which nothing is ever swept or written again would prove nothing.
    expect(removals).toBeGreaterThan(100);
    expect(rewrites).toBeGreaterThan(100);
  });
});
