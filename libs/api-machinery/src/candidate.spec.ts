import { nodes, Problem, virtualMachines, type KindDefinition, type KubeObject } from '@corral/contracts';
import fc from 'fast-check';
import { acceptCandidate, candidateForCreate, candidateForStatus, candidateForUpdate, successor } from './candidate.ts';
import { sameJson } from './field-path.ts';

const kind: KindDefinition = virtualMachines;
const nodeKind: KindDefinition = nodes;
const birth = { now: new Date('2026-01-02T03:04:05.678Z'), uid: '11111111-1111-4111-8111-111111111111', nameSuffix: 'abcde' };
const decoded = (value: unknown) => ({ value, duplicates: [] });
const machine = (spec: object = {}, metadata: object = {}) => ({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name: 'demo', ...metadata }, spec: { source: { image: 'a' }, ...spec } });
const born = (spec: object = {}, metadata: object = {}) => candidateForCreate(kind, decoded(machine(spec, metadata)), { namespace: 'default' }, birth);
const stored = (): KubeObject => {
  const { object } = born({ memory: '128Mi' }, { labels: { app: 'demo' } });
  return { ...object, metadata: { ...object.metadata, resourceVersion: '5' }, status: { phase: 'Running' } };
};
const causesOf = (attempt: () => unknown) => {
  try {
    attempt();
  } catch (error) {
    if (error instanceof Problem) return [error.code, ...(error.details?.causes ?? []).map(({ field }) => field).sort()];
    throw error;
  }
  return ['accepted'];
};

describe('create', () => {
  it('gives identity, time and defaults, and takes neither status nor foreign identity', () => {
    const { object } = candidateForCreate(kind, decoded({ ...machine({}, { uid: 'x', generation: 9, creationTimestamp: null, selfLink: '/x' }), status: { phase: 'Failed' } }), { namespace: 'default' }, birth);
    expect(object.metadata).toEqual({ name: 'demo', namespace: 'default', uid: birth.uid, resourceVersion: '', generation: 1, creationTimestamp: '2026-01-02T03:04:05Z' });
    expect(object.status).toBeUndefined();
    expect(object.spec).toMatchObject({ powerState: 'Running', nodeSelector: {} });
  });

  it('cuts a long generateName so that the made-up name is still a label', () => {
    const { object, problems } = candidateForCreate(kind, decoded({ ...machine(), metadata: { generateName: 'x'.repeat(63) } }), { namespace: 'default' }, birth);
    expect([object.metadata.name.length, problems]).toEqual([63, []]);
  });

  it.each([
    ['a missing required field beside others', { source: undefined, memory: '9Gi', bogus: 1 }, {}, ['request.malformed', 'spec.bogus', 'spec.memory', 'spec.source']],
    ['a field of the wrong type', { memory: 128, nodeSelector: { a: 1 } }, {}, ['object.invalid', 'spec.memory', 'spec.nodeSelector.a']],
    ['a whole spec of the wrong type', undefined, {}, ['object.invalid', 'spec']],
    ['rules of metadata', {}, { name: 'a.b', labels: { 'bad key': 'x', ok: '-' }, annotations: { '': 'x' }, finalizers: ['mine'], ownerReferences: [{ apiVersion: 'v1', kind: '', name: 'a', uid: 'u' }] },
      ['object.invalid', 'metadata.annotations', 'metadata.finalizers[0]', 'metadata.labels', 'metadata.labels.ok', 'metadata.name', 'metadata.ownerReferences[0].kind']],
    ['unknown metadata', {}, { colour: 'red' }, ['request.malformed', 'metadata.colour']],
  ])('names all of %s', (_what, spec, metadata, expected) => {
    const value = spec === undefined ? { ...machine({}, metadata), spec: 'no' } : machine(spec, metadata);
    expect(causesOf(() => acceptCandidate(kind, candidateForCreate(kind, decoded(value), { namespace: 'default' }, birth), 'Strict'))).toEqual(expected);
  });

  it('never fails in another way than by a Problem, whatever is sent', () => {
    const junk = fc.jsonValue({ maxDepth: 3 });
    fc.assert(
      fc.property(fc.record({ metadata: junk, spec: fc.oneof(junk, fc.record({ source: junk, memory: junk, powerState: junk, nodeSelector: junk }, { requiredKeys: [] })), status: junk }), (parts) => {
        const value: unknown = JSON.parse(JSON.stringify({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', ...parts }));
        expect(['accepted', 'request.malformed', 'object.invalid']).toContain(causesOf(() => acceptCandidate(kind, candidateForCreate(kind, decoded(value), { namespace: 'default' }, birth), 'Strict'))[0]);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps a list when an unknown field of one item is let pass', () => {
    const value = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, spec: { taints: [{ key: 'a', effect: 'NoSchedule', bogus: 1 }, { key: 'b', effect: 'NoExecute' }] } };
    const candidate = candidateForCreate(nodeKind, decoded(value), {}, birth);
    expect(acceptCandidate(nodeKind, candidate, 'Warn')).toEqual(['unknown field "spec.taints[0].bogus"']);
    expect(candidate.object.spec).toEqual({ taints: [{ key: 'a', effect: 'NoSchedule' }, { key: 'b', effect: 'NoExecute' }] });
  });
});

describe('update', () => {
  const update = (change: object) => {
    const current = stored();
    const candidate = candidateForUpdate(kind, decoded({ ...current, ...change }), current);
    acceptCandidate(kind, candidate, 'Strict');
    return successor(current, candidate.object);
  };

  it('is nothing when nothing changed, in whatever order the fields stand', () => {
    expect(update({})).toBeUndefined();
    const { spec } = stored() as { spec: object };
    expect(update({ spec: Object.fromEntries(Object.entries(spec).reverse()) })).toBeUndefined();
  });

  it('moves the generation with spec and with nothing else', () => {
    expect(update({ spec: { ...(stored().spec as object), powerState: 'Paused' } })?.metadata.generation).toBe(2);
    expect(update({ metadata: { ...stored().metadata, labels: { app: 'other' } } })?.metadata).toMatchObject({ generation: 1, labels: { app: 'other' } });
    expect(update({ status: { phase: 'Failed' } })).toBeUndefined();
  });

  it('removes labels that are not sent, and keeps identity whatever is sent', () => {
    const { labels: _labels, ...metadata } = stored().metadata;
    const next = update({ metadata: { ...metadata, creationTimestamp: '1999-01-01T00:00:00Z', generation: 77, deletionTimestamp: '1999-01-01T00:00:00Z' } });
    expect(next?.metadata).toEqual(metadata);
  });

  it('lets status change through its own door, and nothing else with it', () => {
    const current = stored();
    const { object, problems } = candidateForStatus(kind, decoded({ ...current, spec: {}, metadata: { labels: { app: 'x' } }, status: { phase: 'Paused', unknown: 1 } }), current);
    expect([object, problems]).toEqual([{ ...current, status: { phase: 'Paused' } }, []]);
  });
});

it('compares JSON by content', () => {
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => expect(sameJson(a, b)).toBe(canonical(a) === canonical(b))));
});
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) =>
    typeof field === 'object' && field !== null && !Array.isArray(field) ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1))) : Object.is(field, -0) ? 0 : field,
  );
}
