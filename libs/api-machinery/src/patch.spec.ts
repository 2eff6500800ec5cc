import { nodes, virtualMachines, type KubeObject } from '@corral/contracts';
import { shapeOf } from './field-shape.ts';
import { acceptedPatchTypes, mergePatch, PATCH_TYPES, readPatch } from './patch.ts';
import { strategicMerge } from './strategic-merge.ts';

/** The examples of RFC 7396, appendix A. */
it.each([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [['a', 'b'], ['c', 'd'], ['c', 'd']],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])('merges %j with %j to %j', (target, patch, expected) => {
  expect(mergePatch(target, patch)).toEqual(expected);
});

describe('strategic merge', () => {
  const shape = shapeOf(nodes);
  const condition = (type: string, status: string) => ({ type, status });

  it.each([
    ['conditions by type', { status: { conditions: [condition('Ready', 'True')] } }, { status: { conditions: [condition('Ready', 'False'), condition('Ok', 'True')], '$setElementOrder/conditions': [{ type: 'Ok' }, { type: 'Ready' }] } }, { status: { conditions: [condition('Ready', 'False'), condition('Ok', 'True')] } }],
    ['addresses by type', { status: { addresses: [{ type: 'InternalIP', address: '1' }, { type: 'Hostname', address: 'n' }] } }, { status: { addresses: [{ type: 'InternalIP', address: '2' }, { $patch: 'delete', type: 'Hostname' }] } }, { status: { addresses: [{ type: 'InternalIP', address: '2' }] } }],
    ['owners by uid', { metadata: { ownerReferences: [{ uid: '1', name: 'a' }] } }, { metadata: { ownerReferences: [{ uid: '2' }, { $patch: 'delete', uid: '1' }] } }, { metadata: { ownerReferences: [{ uid: '2' }] } }],
    ['a replaced list', { status: { conditions: [condition('Ready', 'True')] } }, { status: { conditions: [{ $patch: 'replace' }, condition('Ok', 'True')] } }, { status: { conditions: [condition('Ok', 'True')] } }],
    // Kubernetes gives taints no merge key: kubectl sends all that are to be.
    ['taints as a whole', { spec: { taints: [{ key: 'a', effect: 'X' }, { key: 'b', effect: 'X' }] } }, { spec: { taints: [{ key: 'b', effect: 'X' }] } }, { spec: { taints: [{ key: 'b', effect: 'X' }] } }],
    ['a replaced object', { metadata: { labels: { a: '1' } } }, { metadata: { labels: { $patch: 'replace', b: '2' } } }, { metadata: { labels: { b: '2' } } }],
    ['a deleted object', { metadata: { labels: { a: '1' } } }, { metadata: { labels: { $patch: 'delete' } } }, { metadata: {} }],
    ['finalizers as a set', { metadata: { finalizers: ['a', 'b'] } }, { metadata: { finalizers: ['b', 'c'], '$deleteFromPrimitiveList/finalizers': ['a'], '$setElementOrder/finalizers': ['b', 'c'] } }, { metadata: { finalizers: ['b', 'c'] } }],
    ['null as removal', { spec: { unschedulable: true, podCIDR: 'x' } }, { spec: { unschedulable: null } }, { spec: { podCIDR: 'x' } }],
    ['null inside what is new as nothing', {}, { metadata: { labels: { a: null, b: '1' } } }, { metadata: { labels: { b: '1' } } }],
    ['a list without keys as a whole', { spec: { list: [1, 2] } }, { spec: { list: [3] } }, { spec: { list: [3] } }],
    ['retained keys', { spec: { a: 1, b: 2 } }, { spec: { $retainKeys: ['a'], a: 3 } }, { spec: { a: 3 } }],
  ])('takes %s', (_what, target, patch, expected) => {
    expect(strategicMerge(shape, target, patch)).toEqual(expected);
  });

  it.each([
    ['a directive nobody knows', { metadata: { $patch: 'explode' } }],
    ['an item without its key', { status: { conditions: [{ status: 'True' }] } }],
    ['an item that is no object', { status: { conditions: [1] } }],
  ])('refuses %s with 400', (_what, patch) => {
    expect(() => strategicMerge(shape, {}, patch)).toThrow(expect.objectContaining({ code: 'request.malformed' }));
  });
});

it('offers strategic merge for built-in kinds only', () => {
  expect(acceptedPatchTypes(nodes)).toContain(PATCH_TYPES.strategic);
  expect(acceptedPatchTypes(virtualMachines)).not.toContain(PATCH_TYPES.strategic);
});

it('leaves the object it patches as it is', () => {
  const object = { metadata: { labels: { a: '1' } } } as unknown as KubeObject;
  const kind = nodes;
  readPatch(kind, '[{"op":"remove","path":"/metadata/labels"}]', PATCH_TYPES.json)(object);
  readPatch(kind, '{"metadata":{"labels":null}}', PATCH_TYPES.merge)(object);
  readPatch(kind, '{"metadata":{"labels":null}}', PATCH_TYPES.strategic)(object);
  expect(object).toEqual({ metadata: { labels: { a: '1' } } });
});

it('does not let a patch reach prototypes', () => {
  const kind = nodes;
  const object = { metadata: {} } as unknown as KubeObject;
  expect(() => readPatch(kind, '[{"op":"add","path":"/__proto__/polluted","value":1}]', PATCH_TYPES.json)(object)).toThrow();
  expect(() => readPatch(kind, '{"__proto__":{"polluted":1}}', PATCH_TYPES.merge)).toThrow(expect.objectContaining({ code: 'request.malformed' }));
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

it.each([
  ['that tests what is not so', [{ op: 'test', path: '/metadata/labels/a', value: '2' }]],
  ['of a path that is not there', [{ op: 'remove', path: '/spec/nothing' }]],
  ['that takes the object away before it goes on', [{ op: 'remove', path: '' }, { op: 'replace', path: '/a/b', value: 1 }]],
  ['that moves a value into itself', [{ op: 'move', from: '/metadata', path: '/metadata/labels/x/y' }]],
])('refuses a JSON patch %s with 422', (_what, operations) => {
  const object = { metadata: { name: 'x', labels: { a: '1' } } } as unknown as KubeObject;
  const patch = readPatch(nodes, JSON.stringify(operations), PATCH_TYPES.json);
  expect(() => patch(object)).toThrow(expect.objectContaining({ code: 'object.invalid' }));
});

describe('a JSON patch', () => {
  const object = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', annotations: { a: 'x'.repeat(1000) } } } as unknown as KubeObject;
  const doubling = (times: number) => Array.from({ length: times }, (_, index) => ({ op: 'copy', from: '/metadata', path: `/metadata/c${index}` }));
  const read = (operations: readonly unknown[]) => readPatch(nodes, JSON.stringify(operations), PATCH_TYPES.json);

  it('whose copies double what they copy is refused with 413 before memory is full', () => {
    expect(() => read(doubling(24))(object)).toThrow(expect.objectContaining({ code: 'request.too-large' }) as Error);
  });

  it('may copy what is small', () => {
    expect(JSON.stringify(read(doubling(3))(object)).length).toBeGreaterThan(8_000);
  });
});
