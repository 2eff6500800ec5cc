import { once } from 'node:events';
import { KINDS, qualifiedResource, virtualMachines } from '@corral/contracts';
import { until } from '@corral/testing';
import { manifest, type KubectlSubject } from './kubectl-programs.ts';
import { sampleOf } from './samples.ts';

/** Objects of every kind: made, read, watched, awaited, changed and deleted. */
export function objectCases(subject: () => KubectlSubject): void {
  it('finds every kind by every name, and lists, explains and announces it', async () => {
    const { kubectl } = subject();
    const printed = await kubectl.ok(['api-resources', '-o', 'name']);
    for (const kind of KINDS) expect(printed.split('\n')).toContain(qualifiedResource(kind));
    const every = KINDS.map(qualifiedResource).join(',');
    await kubectl.ok(['get', every, '-A']);
    await kubectl.ok(['get', 'vm,vms,virtualmachine,virtualmachines.corral.dev,virtualmachines.v1.corral.dev']);
    expect((await kubectl.ok(['api-versions'])).split('\n')).toEqual(expect.arrayContaining(['v1', 'corral.dev/v1', 'coordination.k8s.io/v1']));
    const ofGroup = await kubectl.ok(['api-resources', '--api-group=corral.dev', '--verbs=list,watch,patch', '--namespaced=true', '--no-headers']);
    expect(ofGroup).toMatch(/^virtualmachines\s+vm,vms\s+corral\.dev\/v1\s+true\s+VirtualMachine$/m);
  });

  it('makes up a name that begins as it was asked to', async () => {
    const { kubectl } = subject();
    const generated = JSON.stringify({ ...(JSON.parse(manifest('x')) as object), metadata: { generateName: 'made-up-' } });
    const [one, two] = [await kubectl.ok(['create', '-f', '-', '-o', 'name'], generated), await kubectl.ok(['create', '-f', '-', '-o', 'name'], generated)];
    expect([one, two]).toEqual([expect.stringMatching(/^virtualmachine\.corral\.dev\/made-up-[a-z0-9]{5}\n$/), expect.stringMatching(/^virtualmachine\.corral\.dev\/made-up-/)]);
    expect(one).not.toBe(two);
  });

  it('refuses what is there already, what is not there, and what is in no namespace there is', async () => {
    const { kubectl, refusal } = subject();
    await kubectl.ok(['create', '-f', '-'], manifest('twice'));
    expect(await refusal(['create', '-f', '-'], manifest('twice'))).toContain('Error from server (AlreadyExists): error when creating "STDIN": virtualmachines.corral.dev "twice" already exists');
    expect(await refusal(['get', 'vm', 'nowhere'])).toBe('Error from server (NotFound): virtualmachines.corral.dev "nowhere" not found');
    expect(await refusal(['create', '-n', 'nowhere', '-f', '-'], manifest('lost'))).toContain('namespaces "nowhere" not found');
    expect(await kubectl.ok(['get', 'vm', '-n', 'nowhere', '-o', 'name'])).toBe('');
    expect(await refusal(['scale', 'vm', 'twice', '--replicas=2'])).toContain('could not find the requested resource');
  });

  it('prints tables, wide tables, names and everything of a category', async () => {
    const { kubectl } = subject();
    await kubectl.ok(['create', '-f', '-'], manifest('printed'));
    const lines = (await kubectl.ok(['get', 'vm', 'printed'])).trim().split('\n');
    expect(lines[0]?.split(/\s+/)).toEqual(['NAME', 'PHASE', 'READY', 'MEMORY', 'NODE', 'AGE']);
    expect(lines[1]).toMatch(/^printed\s+Pending\s+Unknown\s+128Mi\s+<none>\s+\d+s$/);
    expect(await kubectl.ok(['get', 'vm', 'printed', '-o', 'wide'])).toContain('linux-minimal');
    expect(await kubectl.ok(['get', 'all', '-o', 'name'])).toContain('virtualmachine.corral.dev/printed');
    expect(await kubectl.ok(['get', 'vm', '-A', '--sort-by=.metadata.name', '-l', 'app in (demo),!legacy'])).toContain('printed');
    expect(await kubectl.ok(['get', 'vm', '--field-selector', 'spec.powerState=Stopped', '-o', 'name'])).toBe('');
  });

  it('prints objects as YAML and JSON, columns of one’s own, labels, and managedFields where asked', async () => {
    const { kubectl, minor } = subject();
    await kubectl.ok(['create', '-f', '-'], manifest('shown'));
    expect(await kubectl.ok(['get', 'vm', 'shown', '-o', 'yaml'])).toMatch(/^apiVersion: corral\.dev\/v1\nkind: VirtualMachine\n/);
    expect(await kubectl.ok(['get', 'vm', 'shown', '-o', 'custom-columns=N:.metadata.name,M:.spec.memory'])).toMatch(/^N\s+M\nshown\s+128Mi\n$/);
    expect(await kubectl.ok(['get', 'vm', 'shown', '--show-labels', '--no-headers', '-L', 'app'])).toMatch(/demo\s+app=demo\n$/);
    if (minor < 21) return;
    expect(await kubectl.ok(['get', 'vm', 'shown', '-o', 'json'])).not.toContain('managedFields');
    expect(await kubectl.ok(['get', 'vm', 'shown', '-o', 'json', '--show-managed-fields'])).toContain('"manager": "kubectl-create"');
  });

  it('lists in pages, by labels, by fields and across namespaces', async () => {
    const { kubectl, namespace, refusal } = subject();
    for (const index of [1, 2, 3]) await kubectl.ok(['create', '-f', '-'], manifest(`paged-${index}`, { powerState: index === 1 ? 'Stopped' : 'Running' }, { labels: { paged: 'yes', tier: index === 3 ? 'db' : 'web' } }));
    const names = async (...args: string[]): Promise<string[]> => (await kubectl.ok(['get', 'vm', '-o', 'name', ...args])).trim().split('\n').map((line) => line.replace(/^.*\//, ''));
    expect(await names('-l', 'paged', '--chunk-size=1')).toEqual(['paged-1', 'paged-2', 'paged-3']);
    expect(await names('-l', 'paged=yes,tier!=db')).toEqual(['paged-1', 'paged-2']);
    expect(await names('-l', 'paged,tier in (db,cache)')).toEqual(['paged-3']);
    expect(await names('-l', 'paged', '--field-selector', 'spec.powerState==Stopped')).toEqual(['paged-1']);
    expect(await names('-l', 'paged', '--field-selector', 'spec.powerState!=Stopped,metadata.name!=paged-3')).toEqual(['paged-2']);
    expect(await names('-A', '-l', 'paged', '--field-selector', `metadata.namespace=${namespace}`)).toHaveLength(3);
    expect(await refusal(['get', 'vm', '--field-selector', 'spec.colour=red'])).toContain('field label not supported: spec.colour');
    expect(await refusal(['get', 'vm', '-l', 'a in (b'])).toContain('unable to parse requirement');
  });

  it('describes an object with its events', async () => {
    const { kubectl, namespace } = subject();
    await kubectl.ok(['create', '-f', '-'], manifest('described'));
    const uid = await kubectl.ok(['get', 'vm', 'described', '-o', 'jsonpath={.metadata.uid}']);
    const event = {
      apiVersion: 'v1', kind: 'Event', metadata: { name: 'described.1', namespace }, type: 'Warning', reason: 'FailedScheduling', message: '0/1 nodes fit', count: 3,
      involvedObject: { kind: 'VirtualMachine', namespace, name: 'described', uid, apiVersion: 'corral.dev/v1' }, source: { component: 'scheduler' },
      firstTimestamp: '2026-01-01T00:00:00Z', lastTimestamp: '2026-01-01T00:00:00Z',
    };
    await kubectl.ok(['create', '-f', '-'], JSON.stringify(event));
    const printed = await kubectl.ok(['describe', 'vm', 'described']);
    expect(printed).toMatch(/Power State:\s+Running/);
    expect(printed).toMatch(/Warning\s+FailedScheduling\s+.*scheduler\s+0\/1 nodes fit/);
  });

  it('describes an object of every kind', async () => {
    const { kubectl, minor, namespace } = subject();
    const samples = KINDS.flatMap((kind) => {
      // kubectl before 1.21 describes it as policy/v1beta1, which is gone.
      if (minor < 21 && kind.kind === 'PodDisruptionBudget') return [];
      const name = kind.scope === 'Cluster' ? `sample-${namespace}` : 'sample';
      const object = sampleOf(kind, name);
      return object ? [{ kind, name, object }] : [];
    });
    await kubectl.ok(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: samples.map(({ object }) => object) }));
    for (const { kind, name } of samples) expect(await kubectl.ok(['describe', qualifiedResource(kind), name])).toMatch(new RegExp(`^Name:\\s+${name}\n`));
  });

  it('labels, annotates, patches and replaces', async () => {
    const { kubectl } = subject();
    await kubectl.ok(['create', '-f', '-'], manifest('edited'));
    await kubectl.ok(['label', 'vm', 'edited', 'tier=web', 'app-']);
    await kubectl.ok(['annotate', 'vm', 'edited', 'example.com/note=hello']);
    await kubectl.ok(['patch', 'vm', 'edited', '--type', 'merge', '-p', '{"spec":{"restartPolicy":"Never"}}']);
    await kubectl.ok(['patch', 'vm', 'edited', '--type', 'json', '-p', '[{"op":"replace","path":"/spec/powerState","value":"Stopped"}]']);
    const stored = JSON.parse(await kubectl.ok(['get', 'vm', 'edited', '-o', 'json'])) as { metadata: object; spec: object };
    expect(stored.metadata).toMatchObject({ labels: { tier: 'web' }, annotations: { 'example.com/note': 'hello' } });
    expect(stored.spec).toMatchObject({ restartPolicy: 'Never', powerState: 'Stopped' });
    await kubectl.ok(['replace', '-f', '-'], JSON.stringify({ ...stored, spec: { ...stored.spec, powerState: 'Running' } }));
    const stale = await kubectl.run(['replace', '-f', '-'], JSON.stringify(stored));
    expect([stale.exitCode, stale.stderr]).toEqual([1, expect.stringContaining('the object has been modified; please apply your changes to the latest version and try again')]);
  });

  it('shows what is wrong with a manifest, all of it', async () => {
    const { kubectl, serverValidation } = subject();
    const { exitCode, stderr } = await kubectl.run(['create', ...serverValidation, '-f', '-'], manifest('Bad_Name', { memory: '3Gi', powerState: 'Flying', colour: 'red' }));
    expect(exitCode).toBe(1);
    for (const part of ['unknown field "spec.colour"', 'metadata.name', 'spec.memory', 'spec.powerState', '"Running", "Paused", "Stopped"']) expect(stderr).toContain(part);
  });

  it('refuses, warns about or ignores unknown fields, as it is told', async () => {
    const { kubectl, minor, refusal } = subject();
    // Before 1.27 --validate is kubectl's own business.
    if (minor < 27) return;
    const unknown = (name: string) => manifest(name, { colour: 'red' });
    expect(await refusal(['create', '--validate=strict', '-f', '-'], unknown('strict'))).toContain('strict decoding error: unknown field "spec.colour"');
    const warned = await kubectl.run(['create', '--validate=warn', '-f', '-'], unknown('warned'));
    expect([warned.exitCode, warned.stderr]).toEqual([0, 'Warning: unknown field "spec.colour"\n']);
    expect(await kubectl.run(['create', '--validate=ignore', '-f', '-'], unknown('ignored'))).toMatchObject({ exitCode: 0, stderr: '' });
    const twice = manifest('doubled').replace('"memory":', '"memory":"64Mi","memory":');
    // kubectl's own JSON reader keeps the last of two keys: only the server would see both.
    expect(await kubectl.ok(['create', '-f', '-'], twice)).toContain('created');
  });

  it('watches one object and a collection', async () => {
    const { kubectl } = subject();
    const watching = kubectl.start(['get', 'vm', '-w', '--output-watch-events', '-l', 'watch=yes']);
    let printed = '';
    watching.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    try {
      await kubectl.ok(['create', '-f', '-'], manifest('watched'));
      // The watch may begin before or after the label: both are an ADDED.
      await kubectl.ok(['label', 'vm', 'watched', 'watch=yes']);
      await until(() => /ADDED\s+watched/.test(printed), { timeoutMs: 20_000, what: 'ADDED' });
      await kubectl.ok(['patch', 'vm', 'watched', '--type', 'merge', '-p', '{"spec":{"powerState":"Paused"}}']);
      await until(() => /MODIFIED\s+watched/.test(printed), { timeoutMs: 20_000, what: 'MODIFIED' });
      await kubectl.ok(['label', 'vm', 'watched', 'watch-']);
      await until(() => /DELETED\s+watched/.test(printed), { timeoutMs: 20_000, what: 'DELETED' });
    } finally {
      watching.kill();
      await once(watching, 'exit');
    }
  });

  it('watches one object by its name from what it is now', async () => {
    const { kubectl } = subject();
    await kubectl.ok(['create', '-f', '-'], manifest('alone'));
    const watching = kubectl.start(['get', 'vm', 'alone', '-w', '-o', 'jsonpath={.spec.powerState}{"\\n"}']);
    let printed = '';
    watching.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    try {
      await until(() => printed.includes('Running'), { timeoutMs: 20_000, what: 'the object as it is' });
      await kubectl.ok(['patch', 'vm', 'alone', '--type', 'merge', '-p', '{"spec":{"powerState":"Stopped"}}']);
      await until(() => printed.includes('Stopped'), { timeoutMs: 20_000, what: 'its change' });
    } finally {
      watching.kill();
      await once(watching, 'exit');
    }
  });

  it('waits for a condition and for the end', async () => {
    const { api, kubectl, namespace } = subject();
    await kubectl.ok(['create', '-f', '-'], manifest('awaited', {}));
    const ready = kubectl.ok(['wait', '--for=condition=Ready', 'vm/awaited', '--timeout=30s']);
    const condition = { type: 'Ready', status: 'True', reason: 'Test', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
    await api.request('PATCH', `/apis/corral.dev/v1/namespaces/${namespace}/virtualmachines/awaited/status`, { status: { conditions: [condition] } }, { 'content-type': 'application/merge-patch+json' });
    expect(await ready).toContain('condition met');
    // `delete` waits for the end itself, and a finalizer makes sure that there is something to wait for.
    await kubectl.ok(['patch', 'vm', 'awaited', '--type', 'merge', '-p', '{"metadata":{"finalizers":["example.com/held"]}}']);
    let isGone = false;
    const gone = kubectl.ok(['delete', 'vm', 'awaited']).then(() => (isGone = true));
    const get = () => api.client.get(virtualMachines, namespace, 'awaited');
    await until(async () => (await get())?.metadata.deletionTimestamp !== undefined, { timeoutMs: 20_000, what: 'the deletion' });
    expect(isGone).toBe(false);
    await kubectl.ok(['patch', 'vm', 'awaited', '--type', 'merge', '-p', '{"metadata":{"finalizers":null}}']);
    await gone;
    expect(await get()).toBeUndefined();
  });

  it('waits for a field, and gives up in time', async () => {
    const { kubectl, minor, refusal } = subject();
    if (minor < 23) return;
    await kubectl.ok(['create', '-f', '-'], manifest('field'));
    const waiting = kubectl.ok(['wait', '--for=jsonpath={.spec.powerState}=Paused', 'vm/field', '--timeout=30s']);
    await kubectl.ok(['patch', 'vm', 'field', '--type', 'merge', '-p', '{"spec":{"powerState":"Paused"}}']);
    expect(await waiting).toContain('condition met');
    expect(await refusal(['wait', '--for=condition=Never', 'vm/field', '--timeout=1s'])).toContain('timed out waiting for the condition');
  });

  it('deletes by name, by label and all, and owned objects with their owner: after it, before it or not', async () => {
    const { kubectl, api, namespace } = subject();
    const exists = async (name: string): Promise<boolean> => (await api.client.get(virtualMachines, namespace, name)) !== undefined;
    const gone = (name: string) => until(async () => !(await exists(name)), { timeoutMs: 20_000, what: `the end of ${name}` });
    for (const policy of ['background', 'foreground', 'orphan']) {
      await kubectl.ok(['create', '-f', '-'], manifest(`owner-${policy}`));
      const uid = await kubectl.ok(['get', 'vm', `owner-${policy}`, '-o', 'jsonpath={.metadata.uid}']);
      const owner = { apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', name: `owner-${policy}`, uid, blockOwnerDeletion: true };
      await kubectl.ok(['create', '-f', '-'], manifest(`owned-${policy}`, {}, { ownerReferences: [owner] }));
      await kubectl.ok(['delete', 'vm', `owner-${policy}`, `--cascade=${policy}`]);
      expect(await exists(`owner-${policy}`)).toBe(false);
      if (policy === 'foreground') expect(await exists('owned-foreground')).toBe(false);
      if (policy === 'background') await gone('owned-background');
    }
    expect((await api.client.get(virtualMachines, namespace, 'owned-orphan'))?.metadata.ownerReferences).toBeUndefined();
    for (const index of [1, 2]) await kubectl.ok(['create', '-f', '-'], manifest(`labelled-${index}`, {}, { labels: { goes: 'yes' } }));
    expect(await kubectl.ok(['delete', 'vm', '-l', 'goes=yes', '-o', 'name'])).toContain('virtualmachine.corral.dev/labelled-2');
    await kubectl.ok(['delete', 'vm', '--all', '--ignore-not-found']);
    expect(await kubectl.ok(['get', 'vm', '-o', 'name'])).toBe('');
  });

  it('cordons a node and creates a namespace: strategic merge and built-in kinds', async () => {
    const { kubectl, namespace } = subject();
    const node = `worker-${namespace}`;
    await kubectl.ok(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: node } }));
    await kubectl.ok(['cordon', node]);
    expect(await kubectl.ok(['get', 'node', node])).toContain('SchedulingDisabled');
    await kubectl.ok(['taint', 'node', node, 'gpu=no:NoSchedule']);
    await kubectl.ok(['uncordon', node]);
    expect(await kubectl.ok(['get', 'node', node, '-o', 'jsonpath={.spec}'])).toBe('{"taints":[{"effect":"NoSchedule","key":"gpu","value":"no"}]}');
    await kubectl.ok(['taint', 'node', node, 'disk=old:NoExecute']);
    await kubectl.ok(['taint', 'node', node, 'gpu-']);
    expect(await kubectl.ok(['get', 'node', node, '-o', 'jsonpath={.spec}'])).toBe('{"taints":[{"effect":"NoExecute","key":"disk","value":"old"}]}');
    await kubectl.ok(['taint', 'node', node, 'disk-']);
    expect(await kubectl.ok(['get', 'node', node, '-o', 'jsonpath={.spec}'])).toBe('{}');
    await kubectl.ok(['create', 'namespace', `team-of-${namespace}`]);
    expect(await kubectl.ok(['get', 'ns', `team-of-${namespace}`, '--no-headers'])).toMatch(/^team-of-\S+\s+Active/);
  });

  it('creates the kinds of Kubernetes by their own commands, which newer kubectls send in protobuf', async () => {
    const { kubectl, namespace } = subject();
    const commands: readonly (readonly [command: readonly string[], jsonpath: string, printed: string])[] = [
      [['secret', 'generic', 'login', '--from-literal=user=me'], '{.data.user} {.type}', 'bWU= Opaque'],
      [['serviceaccount', 'robot'], '{.metadata.name}', 'robot'],
      [['quota', 'few', '--hard=count/virtualmachines.corral.dev=700'], '{.spec.hard.count/virtualmachines\\.corral\\.dev}', '700'],
      [['role', 'own-reader', '--verb=get,list', '--resource=virtualmachines.corral.dev'], '{.rules[0].verbs} {.rules[0].apiGroups[0]}', '["get","list"] corral.dev'],
      [['clusterrole', `reader-${namespace}`, '--verb=get', '--resource=virtualmachines.corral.dev/status'], '{.rules[0].resources[0]}', 'virtualmachines/status'],
      [['rolebinding', 'own-readers', '--role=own-reader', '--user=jane', `--serviceaccount=${namespace}:robot`], '{.roleRef.name} {.subjects[*].kind}', 'own-reader User ServiceAccount'],
      [['clusterrolebinding', `readers-${namespace}`, `--clusterrole=reader-${namespace}`, '--group=staff'], '{.subjects[0].name}', 'staff'],
      [['priorityclass', `high-${namespace}`, '--value=1000', '--description=first'], '{.value} {.description}', '1000 first'],
    ];
    for (const [command, jsonpath, printed] of commands) {
      const [kind = '', ...rest] = command;
      const name = kind === 'secret' ? rest[1] : rest[0];
      await kubectl.ok(['create', ...command]);
      expect([kind, await kubectl.ok(['get', kind, name ?? '', '-o', `jsonpath=${jsonpath}`])]).toEqual([kind, printed]);
    }
    await kubectl.ok(['delete', 'quota', 'few']);
  });

  it('says whether its server is well, and which version it has', async () => {
    const { kubectl } = subject();
    expect(await kubectl.ok(['get', '--raw', '/readyz'])).toContain('ok');
    expect(await kubectl.ok(['version'])).toMatch(/Server Version/);
  });

  it('explains a kind and its fields from the schema that validates', async () => {
    const { kubectl, minor } = subject();
    expect(await kubectl.ok(['explain', 'vm'])).toContain('VirtualMachine');
    expect(await kubectl.ok(['explain', 'vm.spec.source'])).toContain('exactly one of image, snapshot');
    expect(await kubectl.ok(['explain', 'vm.metadata.finalizers'])).toMatch(/finalizers/i);
    expect(await kubectl.ok(['explain', 'vm', '--recursive'])).toMatch(/conditions\s+<\[\]Object>/);
    // Older ones take the group for a field.
    for (const kind of KINDS) await kubectl.ok(['explain', minor < 27 ? kind.plural : qualifiedResource(kind)]);
  });
}
