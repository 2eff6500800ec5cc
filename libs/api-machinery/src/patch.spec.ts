import { nodes, virtualMachines, type KindDefinition, type KubeObject } from '@corral/contracts';
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
  it.each([
    ['a keyed list item by item', { spec: { taints: [{ key: 'a', effect: 'X', value: '1' }, { key: 'b', effect: 'X' }] } }, { spec: { taints: [{ key: 'a', effect: 'X', value: '2' }] } }, { spec: { taints: [{ key: 'a', effect: 'X', value: '2' }, { key: 'b', effect: 'X' }] } }],
    ['two keys as one', { spec: { taints: [{ key: 'a', effect: 'X' }] } }, { spec: { taints: [{ key: 'a', effect: 'Y' }] } }, { spec: { taints: [{ key: 'a', effect: 'X' }, { key: 'a', effect: 'Y' }] } }],
    ['conditions by type', { status: { conditions: [{ type: 'Ready', status: 'True' }] } }, { status: { conditions: [{ type: 'Ready', status: 'False' }, { type: 'Ok' }] } }, { status: { conditions: [{ type: 'Ready', status: 'False' }, { type: 'Ok' }] } }],
    ['owners by uid', { metadata: { ownerReferences: [{ uid: '1', name: 'a' }] } }, { metadata: { ownerReferences: [{ uid: '2' }, { $patch: 'delete', uid: '1' }] } }, { metadata: { ownerReferences: [{ uid: '2' }] } }],
    ['a replaced list', { spec: { taints: [{ key: 'a', effect: 'X' }] } }, { spec: { taints: [{ $patch: 'replace' }, { key: 'c', effect: 'X' }] } }, { spec: { taints: [{ key: 'c', effect: 'X' }] } }],
    ['a replaced object', { metadata: { labels: { a: '1' } } }, { metadata: { labels: { $patch: 'replace', b: '2' } } }, { metadata: { labels: { b: '2' } } }],
    ['a deleted object', { metadata: { labels: { a: '1' } } }, { metadata: { labels: { $patch: 'delete' } } }, { metadata: {} }],
    ['finalizers as a set', { metadata: { finalizers: ['a', 'b'] } }, { metadata: { finalizers: ['b', 'c'], '$deleteFromPrimitiveList/finalizers': ['a'], '$setElementOrder/finalizers': ['b', 'c'] } }, { metadata: { finalizers: ['b', 'c'] } }],
    ['null as removal', { spec: { unschedulable: true, podCIDR: 'x' } }, { spec: { unschedulable: null } }, { spec: { podCIDR: 'x' } }],
    ['a list without keys as a whole', { spec: { list: [1, 2] } }, { spec: { list: [3] } }, { spec: { list: [3] } }],
    ['retained keys', { spec: { a: 1, b: 2 } }, { spec: { $retainKeys: ['a'], a: 3 } }, { spec: { a: 3 } }],
  ])('takes %s', (_what, target, patch, expected) => {
    expect(strategicMerge(target, patch)).toEqual(expected);
  });
});

it('offers strategic merge for built-in kinds only', () => {
  expect(acceptedPatchTypes(nodes as unknown as KindDefinition)).toContain(PATCH_TYPES.strategic);
  expect(acceptedPatchTypes(virtualMachines as unknown as KindDefinition)).not.toContain(PATCH_TYPES.strategic);
});

it('leaves the object it patches as it is', () => {
  const object = { metadata: { labels: { a: '1' } } } as unknown as KubeObject;
  const kind = nodes as unknown as KindDefinition;
  readPatch(kind, '[{"op":"remove","path":"/metadata/labels"}]', PATCH_TYPES.json)(object);
  readPatch(kind, '{"metadata":{"labels":null}}', PATCH_TYPES.merge)(object);
  readPatch(kind, '{"metadata":{"labels":null}}', PATCH_TYPES.strategic)(object);
  expect(object).toEqual({ metadata: { labels: { a: '1' } } });
});

it('does not let a patch reach prototypes', () => {
  const kind = nodes as unknown as KindDefinition;
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
  const patch = readPatch(nodes as unknown as KindDefinition, JSON.stringify(operations), PATCH_TYPES.json);
  expect(() => patch(object)).toThrow(expect.objectContaining({ code: 'object.invalid' }));
});
