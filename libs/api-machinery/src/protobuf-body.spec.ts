import fc from 'fast-check';
import { Problem } from '@corral/contracts';
import { decodeProtobuf } from './protobuf-body.ts';
import { READABLE_KINDS } from './protobuf-messages.ts';

/** What kubectl 1.33 sends for `create`, `auth can-i`, `auth whoami` and `create token`, as it came over the wire. */
const RECORDED: readonly (readonly [kind: string, body: string, object: object])[] = [
  ['Namespace', 'azhzAAoPCgJ2MRIJTmFtZXNwYWNlEhwKFAoEdGVhbRIAGgAiACoAMgA4AEIAEgAaAgoAGgAiAA==',
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' }}],
  ['Secret', 'azhzAAoMCgJ2MRIGU2VjcmV0Ei8KEQoBcxIAGgAiACoAMgA4AEIAEg0KCHBhc3N3b3JkEgFiEgkKBHVzZXISAWEaABoAIgA=',
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { password: 'Yg==', user: 'YQ==' }}],
  ['ServiceAccount', 'azhzAAoUCgJ2MRIOU2VydmljZUFjY291bnQSFwoVCgVyb2JvdBIAGgAiACoAMgA4AEIAGgAiAA==',
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' }}],
  ['ConfigMap', 'azhzAAoPCgJ2MRIJQ29uZmlnTWFwEhsKEQoBYxIAGgAiACoAMgA4AEIAEgYKAWESAWIaACIA',
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { a: 'b' }}],
  ['ResourceQuota', 'azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRJRChEKAXESABoAIgAqADIAOABCABI6CicKIGNvdW50L3ZpcnR1YWxtYWNoaW5lcy5jb3JyYWwuZGV2EgMKATcKDwoGbWVtb3J5EgUKAzFHaRoAGgAiAA==',
    { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'q' }, spec: { hard: {'count/virtualmachines.corral.dev':'7', memory: '1Gi' }} }],
  ['Role', 'azhzAAokChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgRSb2xlEjAKFgoGcmVhZGVyEgAaACIAKgAyADgAQgASFgoDZ2V0CgRsaXN0EgAaBHBvZHMiAWEaACIA',
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'reader' }, rules: [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'], resourceNames: ['a'] }] }],
  ['ClusterRole', 'azhzAAorChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgtDbHVzdGVyUm9sZRIlChMKA2FsbBIAGgAiACoAMgA4AEIAEg4KA2dldCoHL2xvZ3MvKhoAIgA=',
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'all' }, rules: [{ verbs: ['get'], nonResourceURLs: ['/logs/*'] }] }],
  ['ClusterRole', 'azhzAAorChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgtDbHVzdGVyUm9sZRIhChMKA2FnZxIAGgAiACoAMgA4AEIAGgoKCAoGCgFhEgFiGgAiAA==',
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'agg' }, aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' }}] }}],
  ['RoleBinding', 'azhzAAorChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgtSb2xlQmluZGluZxKOAQoSCgJyYhIAGgAiACoAMgA4AEIAEikKBFVzZXISGXJiYWMuYXV0aG9yaXphdGlvbi5rOHMuaW8aBGphbmUiABIiCg5TZXJ2aWNlQWNjb3VudBIAGgVyb2JvdCIHZGVmYXVsdBopChlyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvEgRSb2xlGgZyZWFkZXIaACIA',
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'rb' }, subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'jane' }, { kind: 'ServiceAccount', name: 'robot', namespace: 'default' }], roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' }}],
  ['ClusterRoleBinding', 'azhzAAoyChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEhJDbHVzdGVyUm9sZUJpbmRpbmcScwoTCgNjcmISABoAIgAqADIAOABCABIqCgVHcm91cBIZcmJhYy5hdXRob3JpemF0aW9uLms4cy5pbxoEZGV2cyIAGjAKGXJiYWMuYXV0aG9yaXphdGlvbi5rOHMuaW8SC0NsdXN0ZXJSb2xlGgZyZWFkZXIaACIA',
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'crb' }, subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'devs' }], roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' }}],
  ['PodDisruptionBudget', 'azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSOAoRCgFwEgAaACIAKgAyADgAQgASFwoJCAEQABoDNTAlEgoKCAoDYXBwEgF4GgoIABgAIAAoADAAGgAiAA==',
    { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'p' }, spec: { minAvailable: '50%', selector: { matchLabels: { app: 'x' }} }}],
  ['PodDisruptionBudget', 'azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSNgoSCgJwMhIAGgAiACoAMgA4AEIAEhQSCgoICgNhcHASAXgaBggAEAEaABoKCAAYACAAKAAwABoAIgA=',
    { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'p2' }, spec: { selector: { matchLabels: { app: 'x' }}, maxUnavailable: 1 }}],
  ['PriorityClass', 'azhzAAolChRzY2hlZHVsaW5nLms4cy5pby92MRINUHJpb3JpdHlDbGFzcxIoChQKBGhpZ2gSABoAIgAqADIAOABCABDoBxgAIgRoaWdoKgVOZXZlchoAIgA=',
    { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'high' }, value: 1000, globalDefault: false, description: 'high', preemptionPolicy: 'Never' }],
  ['TokenRequest', 'azhzAAooChhhdXRoZW50aWNhdGlvbi5rOHMuaW8vdjESDFRva2VuUmVxdWVzdBIgChAKABIAGgAiACoAMgA4AEIAEgYKAXgg2AQaBAoAEgAaACIA',
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['x'], expirationSeconds: 600 }}],
  ['SelfSubjectAccessReview', 'azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSPQoQCgASABoAIgAqADIAOABCABIfCh0KBHRlYW0SBGxpc3QaACIAKgRwb2RzMgNsb2c6ABoICAASABoAIAAaACIA',
    { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes: { namespace: 'team', verb: 'list', resource: 'pods', subresource: 'log' }} }],
  ['SelfSubjectAccessReview', 'azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSLAoQCgASABoAIgAqADIAOABCABIOEgwKBS9sb2dzEgNnZXQaCAgAEgAaACAAGgAiAA==',
    { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { nonResourceAttributes: { path: '/logs', verb: 'get' }} }],
  ['SelfSubjectRulesReview', 'azhzAAoxChdhdXRob3JpemF0aW9uLms4cy5pby92MRIWU2VsZlN1YmplY3RSdWxlc1JldmlldxIgChAKABIAGgAiACoAMgA4AEIAEgYKBHRlYW0aBBgAIgAaACIA',
    { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace: 'team' }}],
  ['SelfSubjectReview', 'azhzAAotChhhdXRoZW50aWNhdGlvbi5rOHMuaW8vdjESEVNlbGZTdWJqZWN0UmV2aWV3EhoKEAoAEgAaACIAKgAyADgAQgASBgoECgASABoAIgA=',
    { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }],
];

it.each(RECORDED)('reads the %s that kubectl sends as its JSON would say it', (_kind, body, object) => {
  expect(decodeProtobuf(Buffer.from(body, 'base64'))).toEqual({ value: object, duplicates: [] });
});

const codeOf = (body: Uint8Array): string => {
  try {
    decodeProtobuf(body);
    return 'read';
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
};

it('has a message for every kind it promises to read', () => {
  const pad = (text: string): Buffer => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  for (const [apiVersion, kinds] of Object.entries(READABLE_KINDS)) {
    for (const kind of kinds) {
      const typeMeta = Buffer.concat([Buffer.from([0x0a]), pad(apiVersion), Buffer.from([0x12]), pad(kind)]);
      const envelope = Buffer.concat([Buffer.from('k8s\0'), Buffer.from([0x0a, typeMeta.length]), typeMeta]);
      expect(decodeProtobuf(envelope).value).toEqual({ apiVersion, kind });
    }
  }
});

it.each([
  ['no envelope', Buffer.from('{}'), 'request.malformed'],
  ['nothing', Buffer.alloc(0), 'request.malformed'],
  ['text that cannot be stored', Buffer.from('azhzAAoPCgJ2MRIJTmFtZXNwYWNlEgYKBAoCAHg=', 'base64'), 'request.malformed'],
  ['a kind that nobody reads so', Buffer.from('azhzAAoPCgJ2MRIJU29tZXRoaW5n', 'base64'), 'media.unsupported'],
  ['a cut message', Buffer.from(RECORDED[0]?.[1] ?? '', 'base64').subarray(0, 30), 'request.malformed'],
])('refuses %s', (_what, body, code) => {
  expect(codeOf(body)).toBe(code);
});

it('never fails in another way than by a Problem, whatever is sent', () => {
  const recorded = fc.constantFrom(...RECORDED.map(([, body]) => Buffer.from(body, 'base64')));
  const spoilt = fc.tuple(recorded, fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 6 })).map(([body, changes]) => {
    const copy = Buffer.from(body);
    for (const [at, byte] of changes) copy[at % copy.length] = byte;
    return copy;
  });
  fc.assert(fc.property(spoilt, (body) => expect(['read', 'request.malformed', 'media.unsupported']).toContain(codeOf(body))), { numRuns: 2000 });
});
