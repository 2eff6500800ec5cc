import { nodes, Problem, virtualMachines, type KindDefinition, type KubeObject, type ManagedFieldsEntry } from '@corral/contracts';
import fc from 'fast-check';
import { isRecord } from './field-path.ts';
import { pathsOf } from './field-set.ts';
import { afterUpdate, entriesOf, setOf, withManagedFields } from './managed-fields.ts';
import { applyTo, applyToNothing, onlyPresent, readApplied } from './server-side-apply.ts';

const kind: KindDefinition = virtualMachines;
const nodeKind: KindDefinition = nodes;
const now = new Date('2026-01-02T03:04:05Z');
const later = new Date('2026-01-02T04:00:00Z');

const object = (parts: object): KubeObject => ({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', ...parts, metadata: { name: 'demo', namespace: 'default', ...('metadata' in parts ? (parts.metadata as object) : {}) } }) as unknown as KubeObject;
const configuration = (parts: object, door?: 'status') => readApplied(kind, object(parts), door);

/** Applies, and answers the object with its managers, as the server would store it. */
function apply(current: KubeObject | undefined, manager: string, parts: object, options: { force?: boolean; at?: Date; door?: 'status' } = {}): KubeObject {
  const application = { manager, now: options.at ?? now, force: options.force ?? false, ...(options.door ? { subresource: options.door } : {}) };
  const applied = current ? applyTo(kind, current, configuration(parts, options.door), application) : applyToNothing(kind, configuration(parts), application);
  const value = applied.value as unknown as KubeObject;
  return withManagedFields(value, onlyPresent(kind, value, applied.entries));
}
function update(current: KubeObject | undefined, manager: string, next: KubeObject, door?: 'status', at = now): KubeObject {
  return withManagedFields(next, afterUpdate(kind, current, next, current?.metadata.managedFields ?? [], { manager, now: at, ...(door ? { subresource: door } : {}) }));
}
const owned = (of: KubeObject): Record<string, string[]> =>
  Object.fromEntries((of.metadata.managedFields ?? []).map((entry) => [`${entry.manager} ${entry.operation}${entry.subresource ? `/${entry.subresource}` : ''}`, pathsOf(setOf(entry)).sort()]));
const conflictOf = (attempt: () => unknown): Problem => {
  try {
    attempt();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('there was no conflict');
};

describe('an ordinary write', () => {
  it('owns what it changed, containers that it made among it, and nothing that the server decides', () => {
    const made = update(undefined, 'kubectl-create', object({ metadata: { uid: 'u', resourceVersion: '1', generation: 1, labels: { app: 'demo' } }, spec: { memory: '128Mi' } }));
    expect(made.metadata.managedFields).toEqual([
      {
        manager: 'kubectl-create', operation: 'Update', apiVersion: 'corral.dev/v1', time: '2026-01-02T03:04:05Z', fieldsType: 'FieldsV1',
        fieldsV1: { 'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } }, 'f:spec': { '.': {}, 'f:memory': {} } },
      },
    ]);
  });

  it('takes what it changes from whoever had it, and leaves them the rest', () => {
    const made = update(undefined, 'a', object({ spec: { memory: '1', powerState: 'Running', nodeName: 'n' } }));
    const changed = update(made, 'b', object({ metadata: made.metadata, spec: { memory: '2', powerState: 'Running' } }));
    expect(owned(changed)).toEqual({ 'a Update': ['.spec', '.spec.powerState'], 'b Update': ['.spec.memory'] });
    const back = update(changed, 'a', object({ metadata: changed.metadata, spec: { memory: '3', powerState: 'Running' } }));
    expect(owned(back)).toEqual({ 'a Update': ['.spec', '.spec.memory', '.spec.powerState'] });
  });

  it('that changes nothing changes no manager and no time', () => {
    const made = update(undefined, 'a', object({ spec: { memory: '1' } }));
    expect(update(made, 'b', made, undefined, later).metadata.managedFields).toBe(made.metadata.managedFields);
  });

  it('is not confused by fields that are named like something every object has', () => {
    const made = update(undefined, 'a', object({ metadata: { labels: { constructor: 'x', toString: 'y' } } }));
    expect(owned(made)).toEqual({ 'a Update': ['.metadata.labels', '.metadata.labels.constructor', '.metadata.labels.toString'] });
    expect(owned(update(made, 'b', object({ metadata: { ...made.metadata, labels: { toString: 'y' } } })))).toEqual({ 'a Update': ['.metadata.labels', '.metadata.labels.toString'] });
  });

  it('of status owns conditions one by one', () => {
    const condition = (type: string, status: string) => ({ type, status, reason: 'R' });
    const first = update(object({ spec: {} }), 'node', object({ spec: {}, status: { conditions: [condition('Ready', 'True'), condition('Ok', 'True')] } }), 'status');
    const second = update(first, 'controller', object({ metadata: first.metadata, spec: {}, status: { conditions: [condition('Ready', 'False')] } }), 'status');
    expect(owned(second)).toEqual({
      'controller Update/status': ['.status.conditions[type="Ready"].status'],
      'node Update/status': ['.status', '.status.conditions', '.status.conditions[type="Ready"]', '.status.conditions[type="Ready"].reason', '.status.conditions[type="Ready"].type'],
    });
  });

  it('never makes more than ten entries of those that only update, however many write', () => {
    let current = update(undefined, 'first', object({ metadata: { labels: { first: 'x' } } }));
    for (let index = 0; index < 40; index += 1) {
      const labels = { ...current.metadata.labels, [`l${index}`]: 'x' };
      current = update(current, `m${index}`, object({ metadata: { ...current.metadata, labels } }), undefined, new Date(now.getTime() + index * 1000));
    }
    const managers = (current.metadata.managedFields ?? []).map(({ manager }) => manager);
    expect([managers.length, managers.includes('ancient-changes'), managers.includes('m39')]).toEqual([10, true, true]);
    expect(Object.values(owned(current)).flat()).toHaveLength(Object.keys(current.metadata.labels ?? {}).length + 1);
  });
});

describe('apply', () => {
  it('to nothing owns exactly what is applied, neither name nor type, bare containers only where they are bare', () => {
    const made = apply(undefined, 'a', { metadata: { labels: { app: 'x' }, annotations: {}, finalizers: ['e.com/f'] }, spec: { source: { image: 'i' }, nodeSelector: {} }, status: { phase: 'Failed' } });
    expect(owned(made)).toEqual({ 'a Apply': ['.metadata.annotations', '.metadata.finalizers[="e.com/f"]', '.metadata.labels.app', '.spec.nodeSelector', '.spec.source.image'] });
  });

  it('is refused where somebody else manages another value, naming each field and manager in Kubernetes’s words', () => {
    const made = apply(undefined, 'a', { spec: { memory: '1', powerState: 'Running' } });
    const one = conflictOf(() => apply(made, 'b', { spec: { memory: '2' } }));
    expect([one.code, one.message, one.details?.causes]).toEqual([
      'object.conflict', 'Apply failed with 1 conflict: conflict with "a": .spec.memory',
      [{ reason: 'FieldManagerConflict', message: 'conflict with "a"', field: '.spec.memory' }],
    ]);
    const edited = update(made, 'kubectl-edit', object({ metadata: made.metadata, spec: { memory: '3', powerState: 'Running' } }));
    const two = conflictOf(() => apply(edited, 'b', { spec: { memory: '2', powerState: 'Paused' } }));
    expect(two.message).toBe('Apply failed with 2 conflicts: conflicts with "a":\n- .spec.powerState\nconflicts with "kubectl-edit" using corral.dev/v1:\n- .spec.memory');
    const status = update(edited, 'node', object({ metadata: edited.metadata, spec: edited.spec as object, status: { phase: 'Running' } }), 'status');
    expect(conflictOf(() => apply(status, 'b', { status: { phase: 'Failed' } }, { door: 'status' })).message).toBe(
      'Apply failed with 1 conflict: conflict with "node" with subresource "status" using corral.dev/v1: .status.phase',
    );
  });

  it('with force takes the field away, and an entry that has nothing left is gone', () => {
    const made = apply(undefined, 'a', { spec: { memory: '1' } });
    const forced = apply(made, 'b', { spec: { memory: '2' } }, { force: true });
    expect([forced.spec, owned(forced)]).toEqual([{ memory: '2' }, { 'b Apply': ['.spec.memory'] }]);
  });

  it('of the same value shares it, and it is gone when nobody applies it any more', () => {
    const made = apply(undefined, 'a', { spec: { memory: '1', powerState: 'Running' } });
    const shared = apply(made, 'b', { spec: { memory: '1' } });
    expect(owned(shared)).toEqual({ 'a Apply': ['.spec.memory', '.spec.powerState'], 'b Apply': ['.spec.memory'] });
    const left = apply(shared, 'a', { spec: { powerState: 'Running' } });
    expect([left.spec, owned(left)]).toEqual([{ memory: '1', powerState: 'Running' }, { 'a Apply': ['.spec.powerState'], 'b Apply': ['.spec.memory'] }]);
    const gone = apply(left, 'b', {});
    expect([gone.spec, owned(gone)]).toEqual([{ powerState: 'Running' }, { 'a Apply': ['.spec.powerState'] }]);
  });

  it('leaves what nobody manages, and what an update manages', () => {
    const made = apply(undefined, 'a', { metadata: { labels: { mine: '1' } }, spec: { memory: '1' } });
    const labelled = update(made, 'kubectl-label', object({ metadata: { ...made.metadata, labels: { mine: '1', theirs: '2' } }, spec: { memory: '1' } }));
    const defaulted = { ...labelled, spec: { memory: '1', powerState: 'Running' } } as KubeObject;
    const next = apply(defaulted, 'a', { spec: {} });
    expect([next.metadata.labels, next.spec]).toEqual([{ theirs: '2' }, { powerState: 'Running' }]);
  });

  it('merges sets and items by key, takes away its own, and leaves those of others', () => {
    const owner = (uid: string, name: string) => ({ apiVersion: 'v1', kind: 'X', name, uid });
    const made = apply(undefined, 'a', { metadata: { finalizers: ['e.com/a'], ownerReferences: [owner('1', 'one')] } });
    const both = apply(made, 'b', { metadata: { finalizers: ['e.com/b'], ownerReferences: [owner('2', 'two')] } });
    expect([both.metadata.finalizers, both.metadata.ownerReferences?.map(({ uid }) => uid)]).toEqual([['e.com/a', 'e.com/b'], ['1', '2']]);
    const left = apply(both, 'a', {});
    expect([left.metadata.finalizers, left.metadata.ownerReferences, owned(left)]).toEqual([
      ['e.com/b'], [owner('2', 'two')],
      { 'b Apply': ['apiVersion', 'kind', 'name', 'uid'].map((field) => `.metadata.ownerReferences[uid="2"].${field}`).concat('.metadata.finalizers[="e.com/b"]', '.metadata.ownerReferences[uid="2"]').sort() },
    ]);
  });

  it('takes a list without keys as one field', () => {
    const node = (taints: object[]) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, spec: { taints } });
    const made = applyToNothing(nodeKind, readApplied(nodeKind, node([{ key: 'a', effect: 'NoSchedule' }]), undefined), { manager: 'a', now, force: false });
    expect(made.entries.map((entry) => pathsOf(setOf(entry)))).toEqual([['.spec.taints']]);
  });

  it('through the door of status touches nothing else', () => {
    const made = apply(undefined, 'a', { spec: { memory: '1' } });
    const told = apply(made, 'node', { metadata: { labels: { x: 'y' } }, spec: { memory: '9' }, status: { phase: 'Running' } }, { door: 'status' });
    expect([told.spec, told.metadata.labels, told.status]).toEqual([{ memory: '1' }, undefined, { phase: 'Running' }]);
    expect(owned(told)).toEqual({ 'a Apply': ['.spec.memory'], 'node Apply/status': ['.status.phase'] });
  });

  it('keeps the time of an entry that says the same as before', () => {
    const made = apply(undefined, 'a', { spec: { memory: '1' } });
    expect(apply(made, 'a', { spec: { memory: '1' } }, { at: later })).toEqual(made);
  });

  it('by kubectl goes on where its client-side apply left off, and keeps the way back', () => {
    const applied = { apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name: 'demo' }, spec: { memory: '1', powerState: 'Running' } };
    const made = update(undefined, 'kubectl-client-side-apply', object({ metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(applied) } }, spec: applied.spec }));
    const other = conflictOf(() => apply(made, 'somebody', { spec: { memory: '2' } }));
    expect(other.message).toContain('conflict with "kubectl-client-side-apply" using corral.dev/v1: .spec.memory');
    const next = apply(made, 'kubectl', { spec: { memory: '2' } });
    expect(next.spec).toEqual({ memory: '2', powerState: 'Running' });
    expect(JSON.parse(next.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'] ?? '')).toMatchObject({ spec: { memory: '2' } });
  });

  it.each([
    ['managedFields', { metadata: { name: 'demo', managedFields: [] } }, 'metadata.managedFields must be nil'],
    ['another version', { apiVersion: 'corral.dev/v2' }, 'Incorrect version specified in apply patch. Specified patch version: corral.dev/v2, expected: corral.dev/v1'],
  ])('refuses a body with %s', (_what, parts, message) => {
    const problem = conflictOf(() => readApplied(kind, { apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', ...parts }, undefined));
    expect([problem.code, problem.message]).toEqual(['request.malformed', message]);
  });
});

describe('managedFields that somebody sends', () => {
  const stored: ManagedFieldsEntry[] = [{ manager: 'a', operation: 'Apply', apiVersion: 'corral.dev/v1', time: '2026-01-02T03:04:05Z', fieldsType: 'FieldsV1', fieldsV1: { 'f:spec': { 'f:memory': {} } } }];
  it.each<[string, readonly unknown[] | undefined, readonly unknown[]]>([
    ['none keep those stored', undefined, stored],
    ['an empty list keeps them too', [], stored],
    ['one empty entry clears them', [{}], []],
    ['entries that can be read replace them', [{ ...stored[0], manager: 'b' }], [{ ...stored[0], manager: 'b' }]],
    ['entries that cannot be read keep them', [{ ...stored[0], operation: 'Steal' }], stored],
    ['a tree that is none keeps them', [{ ...stored[0], fieldsV1: { spec: {} } }], stored],
  ])('%s', (_what, sent, expected) => {
    expect(entriesOf(sent, stored)).toEqual(expected);
  });
});

describe('whatever is applied by whomever', () => {
  const value = fc.constantFrom('1', '2');
  const parts = fc.record(
    {
      metadata: fc.record({ labels: fc.dictionary(fc.constantFrom('x', 'y'), value, { noNullPrototype: true }), finalizers: fc.uniqueArray(fc.constantFrom('e.com/a', 'e.com/b')) }, { requiredKeys: [], noNullPrototype: true }),
      spec: fc.record({ memory: value, powerState: value, source: fc.record({ image: value, snapshot: value }, { requiredKeys: [], noNullPrototype: true }) }, { requiredKeys: [], noNullPrototype: true }),
    },
    { requiredKeys: [], noNullPrototype: true },
  );
  const step = fc.record({ manager: fc.constantFrom('a', 'b'), parts, isUpdate: fc.boolean() });

  function history(steps: readonly { manager: string; parts: object; isUpdate: boolean }[]): KubeObject {
    return steps.reduce<KubeObject>((current, { manager, parts: given, isUpdate }) => {
      if (isUpdate) return update(current, manager, object({ ...given, metadata: { ...current.metadata, labels: undefined, finalizers: undefined, ...('metadata' in given ? (given.metadata as object) : {}) } }));
      return apply(current, manager, given, { force: true });
    }, object({}));
  }
  /** Values at the ends of paths, containers left out. */
  function leaves(from: unknown, prefix = ''): Record<string, unknown> {
    if (!isRecord(from)) return from === undefined ? {} : { [prefix]: from };
    return Object.assign({}, ...Object.entries(from).map(([name, field]) => leaves(field, `${prefix}.${name}`))) as Record<string, unknown>;
  }
  const plain = ({ metadata: { labels, finalizers }, spec }: KubeObject) => leaves({ metadata: { labels, finalizers: Object.fromEntries((finalizers ?? []).map((name) => [name, true])) }, spec });

  it('applying again changes nothing', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 5 }), parts, (steps, given) => {
        const once = apply(history(steps), 'a', given, { force: true });
        expect(apply(once, 'a', given, { at: later })).toEqual(once);
      }),
      { numRuns: 200 },
    );
  });

  it('what was applied is there, and nothing goes that somebody else manages or nobody does', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 5 }), parts, (steps, given) => {
        const before = history(steps);
        const after = apply(before, 'a', given, { force: true });
        const own = (before.metadata.managedFields ?? []).filter(({ manager, operation }) => manager === 'a' && operation === 'Apply').flatMap((entry) => pathsOf(setOf(entry)));
        const others = (before.metadata.managedFields ?? []).filter(({ manager, operation }) => !(manager === 'a' && operation === 'Apply')).flatMap((entry) => pathsOf(setOf(entry)));
        const wanted = plain(object(given));
        expect(plain(after)).toMatchObject(wanted);
        for (const [path, kept] of Object.entries(plain(before))) {
          const spelt = path.replace(/^\.metadata\.finalizers\.(.*)$/, '.metadata.finalizers[="$1"]');
          if (path in wanted) continue;
          if (own.includes(spelt) && !others.includes(spelt)) expect(plain(after)).not.toHaveProperty([path]);
          else expect(plain(after)).toHaveProperty([path], kept);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('every entry names only fields that are there', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), (steps) => {
        const result = history(steps);
        const entries = result.metadata.managedFields ?? [];
        expect(onlyPresent(kind, result, entries)).toEqual(entries);
      }),
      { numRuns: 200 },
    );
  });

  it('fails in no other way than by a Problem, whatever is sent', () => {
    const junk = fc.jsonValue({ maxDepth: 3 });
    const odd = fc.record({ metadata: fc.oneof(junk, fc.record({ labels: junk, finalizers: junk, ownerReferences: junk, annotations: junk }, { requiredKeys: [] })), spec: junk, status: fc.oneof(junk, fc.record({ conditions: junk })) }, { requiredKeys: [] });
    fc.assert(
      fc.property(odd, odd, fc.constantFrom(undefined, 'status' as const), (first, second, door) => {
        const body = (parts: object): unknown => JSON.parse(JSON.stringify({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', ...parts }));
        try {
          const made = applyToNothing(kind, readApplied(kind, body(first), undefined), { manager: 'kubectl', now, force: false });
          const current = withManagedFields({ ...object({}), ...(made.value as object), metadata: { name: 'demo' } } as unknown as KubeObject, made.entries);
          applyTo(kind, current, readApplied(kind, body(second), door), { manager: 'b', now, force: true, ...(door ? { subresource: door } : {}) });
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });

  it('reads no annotation that is nested without end', () => {
    const deep = `{"apiVersion":"corral.dev/v1","spec":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`;
    const current = object({ metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': deep } }, spec: { memory: '1' } });
    expect(apply(current, 'kubectl', { spec: { memory: '2' } }).spec).toEqual({ memory: '2' });
  });
});
