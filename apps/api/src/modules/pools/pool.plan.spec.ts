import fc from 'fast-check';
import { memberLabels, ownedByPool, POOL_LABEL, toKubeTime, type VirtualMachine, type VirtualMachinePool, type VirtualMachinePoolSpec } from '@corral/contracts';
import { countsAfter, countsOf } from './pool-counts.ts';
import { isClaimable, oldest, TEMPLATE_ANNOTATION, templateDigest } from './pool-members.ts';
import { FAILED_KEPT_MS, MAX_STARTING, planPool, type PoolPlan } from './pool.plan.ts';
import type { PoolOrigin } from './pool-origin.ts';

const T0 = Date.parse('2026-01-01T00:00:00Z');

function aPool(spec: Partial<VirtualMachinePoolSpec> = {}): VirtualMachinePool {
  return {
    apiVersion: 'corral.dev/v1', kind: 'VirtualMachinePool',
    metadata: { name: 'fast', namespace: 'default', uid: 'pool-uid', resourceVersion: '1', generation: 1, creationTimestamp: toKubeTime(new Date(T0)) },
    spec: { template: { spec: { source: { image: 'tiny' }, powerState: 'Running' } as VirtualMachinePoolSpec['template']['spec'] }, warm: 3, maximum: 6, ...spec },
  };
}

/** The API and one node, as far as pools go: what a write may do is decided by the real rules; who looks may look at something old. */
class Model {
  pool = aPool();
  machines: readonly VirtualMachine[] = [];
  nowMs = T0;
  #count = 0;
  readonly broken: string[] = [];

  setSpec(spec: Partial<VirtualMachinePoolSpec>): void {
    this.pool = { ...this.pool, spec: { ...aPool().spec, ...this.pool.spec, ...spec } as VirtualMachinePoolSpec };
  }

  /** One look of the controller, at what it saw then; as the database would, refuses counts of a pool that has changed since. */
  look(seen: { readonly pool: VirtualMachinePool; readonly machines: readonly VirtualMachine[] } = this): PoolPlan {
    const plan = planPool({ pool: seen.pool, machines: seen.machines, refusal: undefined, origin: { type: 'Template' }, now: new Date(this.nowMs) });
    if (seen.pool.status === this.pool.status && seen.machines === this.machines) this.#tell(plan);
    else if (seen.pool.status !== this.pool.status) return plan;
    const is = (a: VirtualMachine) => (b: VirtualMachine): boolean => a.metadata.uid === b.metadata.uid;
    this.machines = this.machines.filter((vm) => !plan.remove.some(({ machine }) => is(machine)(vm)));
    this.machines = this.machines.map((vm) => (plan.release.some(is(vm)) ? { ...vm, metadata: { ...vm.metadata, ownerReferences: [] }, status: { ...vm.status, claim: { pool: 'fast', poolUid: 'pool-uid', type: 'Label', source: {} } } } : vm));
    for (let made = 0; made < plan.create; made += 1) this.#add('Member');
    return plan;
  }

  #tell({ counts }: PoolPlan): void {
    this.pool = { ...this.pool, status: { ...this.pool.status, ...counts } };
  }

  #add(change: 'Member' | 'ColdClaim'): void {
    const counts = countsAfter(this.pool, change);
    if (typeof counts === 'string') return;
    this.pool = { ...this.pool, status: { ...this.pool.status, ...counts } };
    this.machines = [...this.machines, this.#machine(change)];
    this.#check(change);
  }

  #machine(change: 'Member' | 'ColdClaim'): VirtualMachine {
    const name = `vm-${(this.#count += 1)}`;
    const metadata = { name, namespace: 'default', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: toKubeTime(new Date(T0 + this.#count * 1000)) };
    const common = { apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', spec: { ...this.pool.spec?.template.spec, nodeName: 'n1' } as NonNullable<VirtualMachine['spec']> };
    if (change === 'ColdClaim') return { ...common, metadata, status: { claim: { pool: 'fast', poolUid: 'pool-uid', type: 'Cold', source: {} } } };
    return { ...common, metadata: { ...metadata, labels: memberLabels(this.pool), annotations: { [TEMPLATE_ANNOTATION]: templateDigest(this.pool.spec?.template) }, ownerReferences: [ownedByPool(this.pool)] } };
  }

  claim(): void {
    const warm = oldest(this.machines.filter((vm) => isClaimable(this.pool, vm)));
    if (!warm) return this.#add('ColdClaim');
    const counts = countsAfter(this.pool, 'WarmClaim');
    if (typeof counts === 'string') throw new Error('a warm claim adds no machine');
    this.pool = { ...this.pool, status: { ...this.pool.status, ...counts } };
    const claimed: VirtualMachine = { ...warm, metadata: { ...warm.metadata, uid: `${warm.metadata.uid}-claimed`, labels: {}, ownerReferences: [] }, status: { ...warm.status, claim: { pool: 'fast', poolUid: 'pool-uid', type: 'Warm', source: {} } } };
    this.machines = this.machines.map((vm) => (vm === warm ? claimed : vm));
  }

  /** Somebody takes the label off a warm machine. */
  relabel(index: number): void {
    this.#change(index, (vm) => ({ ...vm, metadata: { ...vm.metadata, labels: Object.fromEntries(Object.entries(vm.metadata.labels ?? {}).filter(([key]) => key !== POOL_LABEL)) } }));
  }

  become(index: number, phase: 'Running' | 'Failed'): void {
    const status = phase === 'Running' ? 'True' : 'False';
    this.#change(index, (vm) => ({ ...vm, status: { ...vm.status, phase, incarnation: 1, conditions: [{ type: 'Ready', status, reason: 'Any', message: '', lastTransitionTime: toKubeTime(new Date(this.nowMs)) }] } }));
  }

  delete(index: number): void {
    this.machines = this.machines.filter((_, at) => at !== index % Math.max(1, this.machines.length));
  }

  #change(index: number, change: (vm: VirtualMachine) => VirtualMachine): void {
    this.machines = this.machines.map((vm, at) => (at === index % this.machines.length ? change(vm) : vm));
  }

  get warm(): readonly VirtualMachine[] {
    return this.machines.filter(({ metadata, status }) => (metadata.ownerReferences?.length ?? 0) > 0 && metadata.labels?.[POOL_LABEL] === 'fast' && !status?.claim);
  }

  /** After something was added. */
  #check(change: 'Member' | 'ColdClaim'): void {
    const { warm = 0, maximum = 0 } = this.pool.spec ?? {};
    if (this.machines.length > maximum) this.broken.push(`${this.machines.length} machines of at most ${maximum}`);
    if (change === 'Member' && this.warm.length > warm) this.broken.push(`${this.warm.length} warm of ${warm}`);
  }
}

const happening = fc.oneof(
  fc.record({ type: fc.constant('look' as const) }),
  fc.record({ type: fc.constant('remember' as const) }),
  fc.record({ type: fc.constant('look at something old' as const) }),
  fc.record({ type: fc.constant('claim' as const) }),
  fc.record({ type: fc.constantFrom('ready', 'fail', 'delete', 'relabel'), index: fc.nat(20) }),
  fc.record({ type: fc.constant('resize' as const), warm: fc.nat(5), maximum: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ type: fc.constant('time passes' as const) }),
);

function run(happenings: readonly (typeof happening extends fc.Arbitrary<infer T> ? T : never)[]): Model {
  const model = new Model();
  let old = { pool: model.pool, machines: model.machines };
  for (const next of happenings) {
    if (next.type === 'look') model.look();
    else if (next.type === 'remember') old = { pool: model.pool, machines: model.machines };
    else if (next.type === 'look at something old') model.look(old);
    else if (next.type === 'claim') model.claim();
    else if (next.type === 'time passes') model.nowMs += FAILED_KEPT_MS;
    else if (next.type === 'resize') {
      // A pool that shrinks below what it has adds nothing, and that is all that is promised of it.
      if ('warm' in next) model.setSpec({ warm: Math.min(next.warm, next.maximum), maximum: next.maximum });
    } else if ('index' in next && model.machines.length > 0) {
      if (next.type === 'ready' || next.type === 'fail') model.become(next.index, next.type === 'ready' ? 'Running' : 'Failed');
      else if (next.type === 'delete') model.delete(next.index);
      else model.relabel(next.index);
    }
  }
  return model;
}

describe('a pool', () => {
  it('never adds a machine beyond `warm` that wait or beyond `maximum` in all, whatever happens, and however old what its controllers look at', () => {
    fc.assert(fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => expect(run(happenings).broken).toEqual([])), { numRuns: 2_000 });
  });

  it('once nothing happens any more, has as many warm machines as it is to have and may, all Ready, and stays quiet', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
        const model = run(happenings);
        for (let turn = 0; turn < 40; turn += 1) {
          model.look();
          model.nowMs += FAILED_KEPT_MS;
          for (const [index, { metadata, status }] of model.machines.entries()) if ((metadata.ownerReferences?.length ?? 0) > 0 && status?.phase === undefined) model.become(index, 'Running');
        }
        const { warm = 0, maximum = 0 } = model.pool.spec ?? {};
        const target = Math.min(warm, Math.max(0, maximum - (model.machines.length - model.warm.length)));
        const plan = model.look();
        expect([model.warm.length, plan.create, plan.remove, plan.release]).toEqual([target, 0, [], []]);
        expect(countsOf(model.pool.status)).toMatchObject({ warm: target, ready: target, machines: model.machines.length, claimed: model.machines.length - target });
      }),
      { numRuns: 500 },
    );
  });

  it('starts a few at a time', () => {
    const model = new Model();
    model.setSpec({ warm: 50, maximum: 100 });
    expect(model.look().create).toBe(MAX_STARTING);
    expect(model.look().create).toBe(0);
    for (let index = 0; index < MAX_STARTING; index += 1) model.become(index, 'Running');
    expect(model.look().create).toBe(MAX_STARTING);
  });

  it('leaves a machine that failed to be looked at, and its place empty until then: one that always fails costs one start in a while', () => {
    const model = new Model();
    model.setSpec({ warm: 1 });
    model.look();
    model.become(0, 'Failed');
    expect(model.look()).toMatchObject({ create: 0, remove: [], recheckMs: FAILED_KEPT_MS, conditions: [{ type: 'Ready', status: 'False', reason: 'MachinesFail' }, {}] });
    model.nowMs += FAILED_KEPT_MS;
    expect(model.look()).toMatchObject({ create: 0, remove: [{ why: 'it failed' }] });
    expect(model.look().create).toBe(1);
  });

  it('replaces what an earlier template made, which nobody can claim', () => {
    const model = new Model();
    model.setSpec({ warm: 1 });
    model.look();
    model.become(0, 'Running');
    model.setSpec({ template: { spec: { source: { image: 'other' }, powerState: 'Running' } as VirtualMachinePoolSpec['template']['spec'] } });
    expect(model.machines.filter((vm) => isClaimable(model.pool, vm))).toEqual([]);
    expect(model.look()).toMatchObject({ remove: [{ why: 'it was made from an earlier template' }] });
    expect(model.look().create).toBe(1);
  });

  it('says why it is not Ready', () => {
    const said = (pool: VirtualMachinePool, machines: readonly VirtualMachine[], refusal?: string, origin: PoolOrigin = { type: 'Template' }) => planPool({ pool, machines, refusal, origin, now: new Date(T0) }).conditions.map(({ type, status, reason }) => `${type}=${status}: ${reason}`);
    expect(said(aPool(), [])).toEqual(['Ready=False: Filling', 'AtMaximum=False: BelowMaximum']);
    expect(said(aPool(), [], 'exceeded quota')).toEqual(['Ready=False: MachinesRefused', 'AtMaximum=False: BelowMaximum']);
    expect(said(aPool({ warm: 0 }), [])).toEqual(['Ready=True: Warm', 'AtMaximum=False: BelowMaximum']);
    const model = new Model();
    model.setSpec({ warm: 1, maximum: 1 });
    model.claim();
    expect(said(model.pool, model.machines)).toEqual(['Ready=False: MaximumReached', 'AtMaximum=True: MaximumReached']);
    const gone: PoolOrigin = { type: 'Unavailable', reason: 'SourceNotRunning', message: 'it is Stopped' };
    expect(said(aPool(), [], undefined, gone)).toEqual(['Ready=False: SourceNotRunning', 'AtMaximum=False: BelowMaximum', 'SourceRunning=False: SourceNotRunning']);
    expect(said(aPool({ warm: 0 }), [], undefined, gone)).toEqual(['Ready=True: Warm', 'AtMaximum=False: BelowMaximum', 'SourceRunning=False: SourceNotRunning']);
    expect(said(aPool(), [], undefined, { type: 'Underway' })).toEqual(['Ready=False: Filling', 'AtMaximum=False: BelowMaximum', 'SourceRunning=True: Running']);
  });

  it('of forks makes none before a moment of their source is held, and asks for one only when it is to make some', () => {
    const source = { metadata: { name: 'source' } } as VirtualMachine;
    const planned = (origin: PoolOrigin, warm = 3) => {
      const { create, isMomentWanted } = planPool({ pool: aPool({ warm }), machines: [], refusal: undefined, origin, now: new Date(T0) });
      return { create, isMomentWanted };
    };
    expect(planned({ type: 'Source', source })).toEqual({ create: 0, isMomentWanted: true });
    expect(planned({ type: 'Source', source }, 0)).toEqual({ create: 0, isMomentWanted: false });
    expect(planned({ type: 'Underway' })).toEqual({ create: 0, isMomentWanted: false });
    expect(planned({ type: 'Moment', name: 'moment' })).toEqual({ create: 3, isMomentWanted: false });
    expect(planned({ type: 'Unavailable', reason: 'SourceMissing', message: '' })).toEqual({ create: 0, isMomentWanted: false });
  });
});
