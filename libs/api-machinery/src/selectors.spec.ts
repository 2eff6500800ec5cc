import { Problem, virtualMachines, type KindDefinition, type KubeObject } from '@corral/contracts';
import fc from 'fast-check';
import { matchesFields, parseFieldSelector } from './field-selector.ts';
import { matchesLabels, parseLabelSelector, requiredLabels } from './label-selector.ts';
import { Selection } from './selection.ts';
import type { Change } from './store.ts';

const kind: KindDefinition = virtualMachines;

describe('label selectors', () => {
  it.each([
    ['app=demo', { app: 'demo' }, true],
    ['app==demo', { app: 'demo' }, true],
    ['app = demo , tier in (a, b)', { app: 'demo', tier: 'b' }, true],
    ['app!=demo', {}, true],
    ['app!=demo', { app: 'demo' }, false],
    ['tier in (a,b)', {}, false],
    ['tier notin (a,b)', {}, true],
    ['tier notin (a,b)', { tier: 'a' }, false],
    ['app', { app: '' }, true],
    ['!app', { app: '' }, false],
    ['!app', {}, true],
    ['app=', { app: '' }, true],
    ['example.com/app=x', { 'example.com/app': 'x' }, true],
    ['toString', {}, false],
    ['', { anything: 'x' }, true],
  ])('%s on %j: %s', (selector, labels, expected) => {
    expect(matchesLabels(parseLabelSelector(selector), labels as Record<string, string>)).toBe(expected);
  });

  it.each([',', 'a b', 'a in b', 'a in (b', '=x', 'a=b=c', 'a=-', 'bad_/key', 'a>1'])('%s is refused', (selector) => {
    expect(() => parseLabelSelector(selector)).toThrow(expect.objectContaining({ code: 'request.malformed' }));
  });

  it('asks an index only for what every match has', () => {
    const word = fc.constantFrom('a', 'b', 'c');
    const part = fc.oneof(
      fc.tuple(word, fc.constantFrom('=', '!='), word).map((parts) => parts.join('')),
      fc.tuple(word, fc.constantFrom(' in ', ' notin '), fc.array(word, { minLength: 1, maxLength: 2 })).map(([key, operator, values]) => `${key}${operator}(${values.join(',')})`),
      fc.tuple(fc.constantFrom('', '!'), word).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 3 }), fc.dictionary(word, word, { maxKeys: 3 }), (parts, labels) => {
        const requirements = parseLabelSelector(parts.join(','));
        if (!matchesLabels(requirements, labels)) return;
        expect(labels).toMatchObject(requiredLabels(requirements));
      }),
    );
  });
});

describe('field selectors', () => {
  const machine = { apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name: 'demo', namespace: 'default' }, spec: { source: {}, powerState: 'Paused' } } as unknown as KubeObject;
  it.each([
    ['metadata.name=demo', true],
    ['metadata.name!=demo', false],
    ['metadata.namespace=default,spec.powerState=Paused', true],
    ['spec.powerState==Running', false],
    ['spec.nodeName=', true],
  ])('%s: %s', (selector, expected) => {
    expect(matchesFields(kind, parseFieldSelector(kind, selector), machine)).toBe(expected);
  });

  it.each(['spec.memory=1', 'nonsense', 'toString=1'])('%s is refused', (selector) => {
    expect(() => parseFieldSelector(kind, selector)).toThrow(Problem);
  });
});

describe('what a change means to a selection', () => {
  const object = (resourceVersion: number, app: string): KubeObject =>
    ({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name: 'demo', namespace: 'default', resourceVersion: String(resourceVersion), labels: { app } } }) as unknown as KubeObject;
  const selection = new Selection(kind, { namespace: 'default', labelSelector: 'app=in' });
  const eventOf = (type: Change['type'], before: string | undefined, after: string) =>
    selection.eventOf({ type, resourceVersion: 7, resource: 'virtualmachines.corral.dev', object: object(7, after), previous: before === undefined ? undefined : object(3, before) });

  it.each([
    ['ADDED', undefined, 'in', 'ADDED'],
    ['ADDED', undefined, 'out', undefined],
    ['MODIFIED', 'in', 'in', 'MODIFIED'],
    ['MODIFIED', 'out', 'in', 'ADDED'],
    ['MODIFIED', 'in', 'out', 'DELETED'],
    ['MODIFIED', 'out', 'out', undefined],
    ['DELETED', 'in', 'in', 'DELETED'],
    ['DELETED', 'in', 'out', 'DELETED'],
    ['DELETED', 'out', 'out', undefined],
  ] as const)('%s from %s to %s is %s', (type, before, after, expected) => {
    expect(eventOf(type, before, after)?.type).toBe(expected);
  });

  it('shows an object that stops matching as it was, with the version at which it stopped', () => {
    expect(eventOf('MODIFIED', 'in', 'out')?.object.metadata).toMatchObject({ resourceVersion: '7', labels: { app: 'in' } });
  });

  it('leaves other namespaces alone', () => {
    const elsewhere = new Selection(kind, { namespace: 'other' });
    expect(elsewhere.eventOf({ type: 'ADDED', resourceVersion: 7, resource: '', object: object(7, 'in'), previous: undefined })).toBeUndefined();
  });
});
