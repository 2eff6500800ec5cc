import type { KubectlSubject } from './kubectl-programs.ts';

const AS = (user: string, ...groups: string[]): string[] => [`--as=${user}`, ...groups.map((group) => `--as-group=${group}`)];

/** Roles, bindings, questions about rights and acting as others, as kubectl does them. */
export function accessCases(subject: () => KubectlSubject): void {
  const kubectl = (args: readonly string[], stdin?: string): Promise<string> => subject().kubectl.ok(args, stdin);

  it('makes roles and bindings, which take effect at once', async () => {
    const { refusal } = subject();
    await kubectl(['create', 'role', 'reader', '--verb=get,list', '--resource=virtualmachines.corral.dev']);
    expect(await refusal(['get', 'vm', ...AS('ann')])).toMatch(/Error from server \(Forbidden\): virtualmachines.corral.dev is forbidden: User "ann" cannot list resource "virtualmachines" in API group "corral.dev" in the namespace/);
    await kubectl(['create', 'rolebinding', 'ann-reads', '--role=reader', '--user=ann']);
    expect(await kubectl(['get', 'vm', '-o', 'name', ...AS('ann')])).toBe('');
    await kubectl(['create', 'rolebinding', 'devs-read', '--clusterrole=view', '--group=devs', `--serviceaccount=${subject().namespace}:bot`]);
    expect(await kubectl(['get', 'vm', '-o', 'name', ...AS('bob', 'devs')])).toBe('');
    expect(await kubectl(['get', 'vm', '-o', 'name', ...AS(`system:serviceaccount:${subject().namespace}:bot`)])).toBe('');
    await kubectl(['delete', 'rolebinding', 'ann-reads']);
    await refusal(['get', 'vm', ...AS('ann')]);
  });

  it('prints roles and bindings in its own columns', async () => {
    const [header = '', row = ''] = (await kubectl(['get', 'rolebinding', 'devs-read', '-o', 'wide'])).split('\n');
    expect(header.split(/\s{2,}/)).toEqual(['NAME', 'ROLE', 'AGE', 'USERS', 'GROUPS', 'SERVICEACCOUNTS']);
    expect(row).toMatch(new RegExp(`^devs-read\\s+ClusterRole/view\\s+\\S+\\s+devs\\s+${subject().namespace}/bot$`));
    expect((await kubectl(['get', 'roles'])).split('\n')[0]?.split(/\s{2,}/)).toEqual(['NAME', 'CREATED AT']);
    expect(await kubectl(['describe', 'role', 'reader'])).toMatch(/virtualmachines.corral.dev\s+\[\]\s+\[\]\s+\[get list\]/);
  });

  it('says what somebody may do', async () => {
    const { kubectl: program, namespace } = subject();
    const can = async (...args: string[]): Promise<string> => (await program.run(['auth', 'can-i', ...args])).stdout.trim();
    expect(await can('create', 'virtualmachines.corral.dev')).toBe('yes');
    expect(await can('list', 'virtualmachines.corral.dev', ...AS('bob', 'devs'))).toBe('yes');
    expect(await can('list', 'virtualmachines.corral.dev', '-A', ...AS('bob', 'devs'))).toBe('no');
    expect(await can('create', 'virtualmachines.corral.dev', ...AS('bob', 'devs'))).toBe('no');
    expect(await can('create', 'virtualmachines.corral.dev', '--subresource=exec', ...AS('bob', 'devs'))).toBe('no');
    expect(await can('get', '/apis', ...AS('bob'))).toBe('yes');
    expect(await can('get', '/metrics', ...AS('bob'))).toBe('no');
    const rules = await kubectl(['auth', 'can-i', '--list', '-n', namespace, ...AS('bob', 'devs')]);
    expect(rules).toMatch(/virtualmachines\.corral\.dev\s+\[\]\s+\[\]\s+\[get list watch\]/);
    expect(rules).toMatch(/selfsubjectaccessreviews\.authorization\.k8s\.io\s+\[\]\s+\[\]\s+\[create\]/);
  });

  it('says who one is, and who one acts as', async () => {
    // Older ones have no verb for it, but can ask.
    const hasVerb = subject().minor >= 27;
    const question = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' });
    const ask = (...args: string[]): Promise<string> => (hasVerb ? kubectl(['auth', 'whoami', '-o', 'json', ...args]) : kubectl(['create', '--validate=false', '-o', 'json', '-f', '-', ...args], question));
    const whoami = async (...args: string[]): Promise<unknown> => (JSON.parse(await ask(...args)) as { status: { userInfo: unknown } }).status.userInfo;
    expect(await whoami()).toMatchObject({ username: 'system:admin', groups: ['system:masters', 'system:authenticated'] });
    expect(await whoami(...AS('ann', 'devs'))).toEqual({ username: 'ann', groups: ['devs', 'system:authenticated'] });
    if (hasVerb) expect(await whoami(...AS('ann'), '--as-uid=7')).toMatchObject({ uid: '7' });
  });

  it('asks about others', async () => {
    const { namespace } = subject();
    const question = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec: { user: 'bob', groups: ['devs'], resourceAttributes: { namespace, group: 'corral.dev', resource: 'virtualmachines', verb: 'list' } } };
    const answer = JSON.parse(await kubectl(['create', '--validate=false', '-o', 'json', '-f', '-'], JSON.stringify(question))) as { status: object };
    expect(answer.status).toEqual({ allowed: true, reason: `RBAC: allowed by RoleBinding "devs-read/${namespace}" of ClusterRole "view" to Group "devs"` });
    const local = { ...question, kind: 'LocalSubjectAccessReview', metadata: { namespace } };
    expect(await kubectl(['create', '--validate=false', '-o', 'jsonpath={.status.allowed}', '-f', '-'], JSON.stringify(local))).toBe('true');
    expect(await subject().refusal(['create', '--validate=false', '-f', '-', ...AS('bob', 'devs')], JSON.stringify(question))).toMatch(/Forbidden/);
    expect(await subject().refusal(['create', '--validate=false', '-f', '-'], JSON.stringify({ ...question, spec: { user: 'bob' } }))).toMatch(/is invalid: spec.resourceAttributes: Invalid value.*exactly one of nonResourceAttributes or resourceAttributes must be specified/);
  });

  it('reconciles roles and bindings', async () => {
    const { namespace } = subject();
    const role = (resources: string[]) => ({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'reconciled', namespace }, rules: [{ apiGroups: [''], resources, verbs: ['get'] }] });
    const binding = (roleName: string) => ({
      apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'reconciled', namespace },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: roleName }, subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'ann' }],
    });
    const reconcile = (...items: object[]) => kubectl(['auth', 'reconcile', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    await reconcile(role(['events']), binding('reconciled'));
    await reconcile(role(['secrets']));
    const rules = await kubectl(['get', 'role', 'reconciled', '-o', 'jsonpath={.rules[*].resources}']);
    expect(rules).toContain('events');
    expect(rules).toContain('secrets');
    // Another role: the binding is made anew, for what it binds never changes.
    expect(await reconcile(binding('reader'))).toContain('reconciled');
    expect(await kubectl(['get', 'rolebinding', 'reconciled', '-o', 'jsonpath={.roleRef.name}'])).toBe('reader');
  });

  it('is refused another role for a binding, and rights it does not have', async () => {
    const { refusal } = subject();
    const patch = JSON.stringify({ roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' } });
    expect(await refusal(['patch', 'rolebinding', 'devs-read', '--type=merge', '-p', patch])).toMatch(/is invalid: roleRef: Invalid value: .*: cannot change roleRef/);
    await kubectl(['create', 'rolebinding', 'boss', '--clusterrole=admin', '--user=boss']);
    expect(await refusal(['create', 'rolebinding', 'root', '--clusterrole=cluster-admin', '--user=boss', ...AS('boss')])).toMatch(
      /is attempting to grant RBAC permissions not currently held:\n\{APIGroups:\["\*"\], Resources:\["\*"\], Verbs:\["\*"\]\}/,
    );
  });
}
