import type { RequestAttributes } from '@corral/api-machinery';
import type { PolicyRule } from '@corral/contracts';
import fc from 'fast-check';
import { compactRules, describeRule, FULL_AUTHORITY, missingRights } from './coverage.ts';
import { rulesAllow } from './policy-rule.ts';

const some = (...values: string[]) => fc.subarray(values, { minLength: 1, maxLength: 2 });
const resourceRule = fc.record({
  verbs: some('get', 'create', '*'),
  apiGroups: some('', 'corral.dev', '*'),
  resources: some('pods', 'pods/exec', '*/exec', '*'),
  resourceNames: fc.subarray(['x', 'y'], { maxLength: 1 }),
});
const pathRule = fc.record({ verbs: some('get', '*'), nonResourceURLs: some('/a', '/a/*', '*') });
const rules: fc.Arbitrary<PolicyRule[]> = fc.array(fc.oneof(resourceRule, pathRule), { maxLength: 3 });

const request: fc.Arbitrary<RequestAttributes> = fc.oneof(
  fc.record({
    isResource: fc.constant(true as const), verb: fc.constantFrom('get', 'create', 'bind'), group: fc.constantFrom('', 'corral.dev', 'other'), version: fc.constant('v1'),
    resource: fc.constantFrom('pods', 'nodes'), subresource: fc.constantFrom('', 'exec', 'log'), namespace: fc.constant('n'), name: fc.constantFrom('', 'x', 'y'),
  }),
  fc.record({ isResource: fc.constant(false as const), verb: fc.constantFrom('get', 'post'), path: fc.constantFrom('/a', '/a/b', '/c') }),
);

it('who holds every right of a rule can do whatever the rule allows', () => {
  fc.assert(
    fc.property(rules, rules, request, (held, wanted, attributes) => {
      fc.pre(missingRights(held, wanted).length === 0);
      expect(rulesAllow(wanted, attributes) && !rulesAllow(held, attributes)).toBe(false);
    }),
  );
});

it('with what was missing added, nothing is missing, and compacting it loses nothing', () => {
  fc.assert(
    fc.property(rules, rules, (held, wanted) => {
      const missing = missingRights(held, wanted);
      expect(missingRights([...held, ...missing], wanted)).toEqual([]);
      expect(missingRights(compactRules(missing), missing)).toEqual([]);
    }),
  );
});

it('rules cover themselves, nothing is needed for nothing, and full authority covers everything', () => {
  fc.assert(
    fc.property(rules, (wanted) => {
      expect(missingRights(wanted, wanted)).toEqual([]);
      expect(missingRights(wanted, [])).toEqual([]);
      expect(missingRights(FULL_AUTHORITY, wanted)).toEqual([]);
    }),
  );
});

const PODS: PolicyRule = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };

it.each<[string, PolicyRule, PolicyRule, string[]]>([
  ['a verb', PODS, { ...PODS, verbs: ['get', 'list', 'watch'] }, ['{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}']],
  ['a group', PODS, { ...PODS, apiGroups: ['', 'corral.dev'] }, ['{APIGroups:["corral.dev"], Resources:["pods"], Verbs:["get"]}']],
  ['everything', PODS, { ...PODS, resources: ['*'] }, ['{APIGroups:[""], Resources:["*"], Verbs:["get"]}']],
  ['all names, holding one', { ...PODS, resourceNames: ['x'] }, PODS, ['{APIGroups:[""], Resources:["pods"], Verbs:["get"]}']],
  ['one name, holding another', { ...PODS, resourceNames: ['x'] }, { ...PODS, resourceNames: ['y'] }, ['{APIGroups:[""], Resources:["pods"], ResourceNames:["y"], Verbs:["get"]}']],
  ['one name, holding all', PODS, { ...PODS, resourceNames: ['y'] }, []],
  ['a subresource', PODS, { ...PODS, resources: ['pods/exec'] }, ['{APIGroups:[""], Resources:["pods/exec"], Verbs:["get"]}']],
  ['a subresource, holding that of all', { ...PODS, resources: ['*/exec'] }, { ...PODS, resources: ['pods/exec'] }, []],
  ['a path', PODS, { verbs: ['get'], nonResourceURLs: ['/metrics'] }, ['{NonResourceURLs:["/metrics"], Verbs:["get"]}']],
  ['more paths', { verbs: ['get'], nonResourceURLs: ['/a'] }, { verbs: ['get'], nonResourceURLs: ['/a/*'] }, ['{NonResourceURLs:["/a/*"], Verbs:["get"]}']],
])('says what is missing to give %s', (_title, held, wanted, expected) => {
  expect(compactRules(missingRights([held], [wanted])).map(describeRule)).toEqual(expected);
});
