/**
 * `npm run bench:access`: what deciding costs, by CPU time, with three bindings for a user and a group in each
 * of many tenants, to roles of the shape of those that come with the server.
 */
import { AccessPolicy, type Principal } from '@corral/access-control';
import type { RequestAttributes } from '@corral/api-machinery';
import { clusterRoles, qualifiedResource, roleBindings, type KindDefinition, type PolicyRule } from '@corral/contracts';
import { count, programOptions } from '@corral/testing';

const { tenants: TENANTS } = programOptions('npm run bench:access', { tenants: count(1000, 'tenants') });
const ROLES = ['admin', 'edit', 'view'];
const WARM_UP = 50_000;
const DECISIONS = 300_000;
const CALLERS = 1000;

const policy = new AccessPolicy();
let objects = 0;

function add(kind: KindDefinition, metadata: object, body: object): void {
  const object = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: kind.kind, ...body, metadata: { name: '', uid: '', resourceVersion: '1', generation: 1, creationTimestamp: '', ...metadata } };
  policy.apply({ type: 'ADDED', resource: qualifiedResource(kind), object, previous: undefined });
  objects += 1;
}

const began = performance.now();
const rule = (verbs: string[], ...resources: string[]): PolicyRule => ({ verbs, apiGroups: ['corral.dev'], resources });
const RULES: Readonly<Record<string, readonly PolicyRule[]>> = {
  view: [rule(['get', 'list', 'watch'], 'virtualmachines', 'virtualmachinesnapshots', 'virtualmachines/screenshot'), ...others(3)],
  edit: [rule(['create', 'delete', 'patch', 'update'], 'virtualmachines', 'virtualmachinesnapshots'), rule(['create', 'get'], 'virtualmachines/exec', 'virtualmachines/serial'), ...others(9)],
  admin: others(2),
};
for (const [index, role] of ROLES.entries()) {
  const labels = Object.fromEntries(ROLES.slice(0, index + 1).map((above) => [`to-${above}`, 'true']));
  add(clusterRoles, { name: `to-${role}`, labels }, { rules: RULES[role] });
  add(clusterRoles, { name: role }, { rules: [], aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [`to-${role}`]: 'true' } }] } });
}
for (let tenant = 0; tenant < TENANTS; tenant += 1) {
  for (const role of ROLES) {
    const subjects = [{ kind: 'User', name: `${role}-${tenant}` }, { kind: 'Group', name: `${role}s-${tenant}` }];
    add(roleBindings, { name: role, namespace: `tenant-${tenant}` }, { roleRef: { kind: 'ClusterRole', name: role }, subjects });
  }
}
console.log(`${objects} roles and bindings taken in within ${Math.round(performance.now() - began)} ms`);

const user = (role: string) => (index: number): Principal => ({ name: `${role}-${index % TENANTS}`, groups: ['system:authenticated'] });
const member = (role: string) => (index: number): Principal => ({ name: 'somebody', groups: [`${role}s-${index % TENANTS}`, 'system:authenticated'] });
const ask = (verb: string, subresource = '', elsewhere = 0) => (index: number): RequestAttributes => ({
  isResource: true, verb, group: 'corral.dev', version: 'v1', resource: 'virtualmachines', subresource, namespace: `tenant-${(index + elsewhere) % TENANTS}`, name: '',
});

measure('allowed: a user creates in their namespace', user('edit'), ask('create'));
measure('allowed: a member of a group lists', member('view'), ask('list'));
measure('refused: another tenant’s namespace', user('admin'), ask('get', '', 1));
measure('refused: what no role of theirs allows', user('admin'), ask('update', 'status'));

/** Rules about something else. */
function others(count: number): PolicyRule[] {
  return Array.from({ length: count }, (_, index) => ({ verbs: ['get', 'list', 'watch', 'create'], apiGroups: [''], resources: ['events', 'secrets', `other-${index}`] }));
}

function measure(title: string, who: (index: number) => Principal, what: (index: number) => RequestAttributes): void {
  const questions = Array.from({ length: CALLERS }, (_, index) => [who(index), what(index)] as const);
  const run = (count: number): void => {
    for (let index = 0; index < count; index += 1) {
      const [principal, attributes] = questions[index % CALLERS] ?? [who(0), what(0)];
      policy.allows(principal, attributes);
    }
  };
  run(WARM_UP);
  const before = process.cpuUsage();
  run(DECISIONS);
  const { user: inUser, system } = process.cpuUsage(before);
  console.log(`${((inUser + system) / DECISIONS).toFixed(2)} µs  ${title}`);
}
