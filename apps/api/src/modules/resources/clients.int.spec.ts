import { jest } from '@jest/globals';
import { once } from 'node:events';
import { join } from 'node:path';
import { CustomObjectsApi, CoreV1Api, KubeConfig, makeInformer, type KubernetesListObject, type KubernetesObject } from '@kubernetes/client-node';
import { KINDS, virtualMachines } from '@corral/contracts';
import { Kubectl, kubectlOnPath, obtainKubectl, until } from '@corral/testing';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';

/** Debian's kubectl, kept between runs: the download is the same every time. */
const CACHE = join(import.meta.dirname, '../../../../../.corral-test/programs');

// Each kubectl is a process of its own, and slow to start on a busy machine.
jest.setTimeout(120_000);

let api: ApiFixture;
let debian: string;
beforeAll(async () => {
  [debian, api] = await Promise.all([obtainKubectl(CACHE), startApi()]);
}, 240_000);
afterAll(() => api.stop());

function kubectlOf(program: string, name: string): Kubectl {
  const server = api.url.replace('http:', 'https:');
  return new Kubectl(program, join(api.home, name), { server, certificate: api.certificate, token: ADMIN_TOKEN, namespace: name });
}

const manifest = (name: string, more: object = {}): string =>
  JSON.stringify({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name, labels: { app: 'demo' } }, spec: { source: { image: 'linux-minimal' }, memory: '128Mi', ...more } });

/** Debian's everywhere, and the machine's own where it has one: years of kubectl lie between them. */
interface Program {
  readonly name: string;
  readonly find: () => string;
  /** kubectl before 1.27 checks manifests itself unless told not to; later ones leave it to the server, strictly. */
  readonly serverValidation: readonly string[];
}
const onPath = kubectlOnPath();
const PROGRAMS: readonly Program[] = [
  { name: 'debian', find: () => debian, serverValidation: ['--validate=false'] },
  ...(onPath === undefined ? [] : [{ name: 'machine', find: () => onPath, serverValidation: [] }]),
];

describe.each(PROGRAMS)('kubectl ($name)', ({ name: namespace, find, serverValidation }) => {
  let kubectl: Kubectl;
  beforeAll(async () => {
    kubectl = kubectlOf(find(), namespace);
    await kubectl.ok(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }));
  });

  it('finds every kind, by every name', async () => {
    const printed = await kubectl.ok(['api-resources']);
    for (const name of ['namespaces', 'nodes', 'events', 'leases', 'virtualmachines', 'virtualmachinesnapshots', 'virtualmachineimages']) expect(printed).toContain(name);
    await kubectl.ok(['get', 'vm,vms,virtualmachine,virtualmachines.corral.dev']);
  });

  it('applies, applies again unchanged, changes by apply, and deletes', async () => {
    expect(await kubectl.ok(['apply', '-f', '-'], manifest('applied'))).toBe('virtualmachine.corral.dev/applied created\n');
    expect(await kubectl.ok(['apply', '-f', '-'], manifest('applied'))).toBe('virtualmachine.corral.dev/applied unchanged\n');
    expect(await kubectl.ok(['apply', '-f', '-'], manifest('applied', { powerState: 'Paused' }))).toBe('virtualmachine.corral.dev/applied configured\n');
    expect(await kubectl.ok(['get', 'vm', 'applied', '-o', 'jsonpath={.spec.powerState} {.metadata.generation}'])).toBe('Paused 2');
    // Taking the field out of the manifest takes it out of the object, where the default comes back.
    await kubectl.ok(['apply', '-f', '-'], manifest('applied'));
    expect(await kubectl.ok(['get', 'vm', 'applied', '-o', 'jsonpath={.spec.powerState}'])).toBe('Running');
    expect(await kubectl.ok(['delete', 'vm', 'applied'])).toContain('"applied" deleted');
    expect((await kubectl.run(['get', 'vm', 'applied'])).stderr).toBe('Error from server (NotFound): virtualmachines.corral.dev "applied" not found\n');
  });

  it('prints tables, wide tables, names and everything of a category', async () => {
    await kubectl.ok(['create', '-f', '-'], manifest('printed'));
    const lines = (await kubectl.ok(['get', 'vm', 'printed'])).trim().split('\n');
    expect(lines[0]?.split(/\s+/)).toEqual(['NAME', 'PHASE', 'READY', 'MEMORY', 'NODE', 'AGE']);
    expect(lines[1]).toMatch(/^printed\s+Pending\s+Unknown\s+128Mi\s+<none>\s+\d+s$/);
    expect(await kubectl.ok(['get', 'vm', 'printed', '-o', 'wide'])).toContain('linux-minimal');
    expect(await kubectl.ok(['get', 'all', '-o', 'name'])).toContain('virtualmachine.corral.dev/printed');
    expect(await kubectl.ok(['get', 'vm', '-A', '--sort-by=.metadata.name', '-l', 'app in (demo),!legacy'])).toContain('printed');
    expect(await kubectl.ok(['get', 'vm', '--field-selector', 'spec.powerState=Stopped', '-o', 'name'])).toBe('');
  });

  it('describes an object with its events', async () => {
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
    const described: readonly (readonly [object: { readonly kind: string; readonly [field: string]: unknown }, name: string])[] = [
      [{ apiVersion: 'v1', kind: 'Namespace' }, `described-${namespace}`],
      [{ apiVersion: 'v1', kind: 'Node' }, `described-${namespace}`],
      [{ apiVersion: 'v1', kind: 'Event', involvedObject: { kind: 'Node', name: 'x' }, reason: 'Test' }, 'described.2'],
      [{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', spec: { holderIdentity: 'me' } }, 'described'],
      [{ apiVersion: 'corral.dev/v1', kind: 'VirtualMachineImage', spec: { kernel: { url: `artifact:${'0'.repeat(64)}` } } }, `described-${namespace}`],
      [{ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', spec: { source: { image: 'linux-minimal' } } }, 'described-too'],
      [{ apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot', spec: { virtualMachine: 'described-too' } }, 'described'],
    ];
    expect(described.map(([{ kind }]) => kind).sort()).toEqual(KINDS.map(({ kind }) => kind).sort());
    for (const [object, name] of described) {
      const created = await kubectl.ok(['create', '-o', 'name', '-f', '-'], JSON.stringify({ ...object, metadata: { name } }));
      expect(await kubectl.ok(['describe', created.trim()])).toMatch(new RegExp(`^Name:\\s+${name}\n`));
    }
    expect(await kubectl.ok(['describe', 'node', `described-${namespace}`])).toMatch(/Non-terminated Pods:\s+\(0 in total\)/);
    expect(await kubectl.ok(['api-resources', '-o', 'name'])).not.toMatch(/pods/);
  });

  it('labels, annotates, patches and replaces', async () => {
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
    const { exitCode, stderr } = await kubectl.run(['create', ...serverValidation, '-f', '-'], manifest('Bad_Name', { memory: '3Gi', powerState: 'Flying', colour: 'red' }));
    expect(exitCode).toBe(1);
    for (const part of ['unknown field "spec.colour"', 'metadata.name', 'spec.memory', 'spec.powerState', '"Running", "Paused", "Stopped"']) expect(stderr).toContain(part);
  });

  it('watches one object and a collection', async () => {
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

  it('waits for a condition and for the end', async () => {
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

  it('cordons a node and creates a namespace: strategic merge and built-in kinds', async () => {
    const node = `worker-${namespace}`;
    await kubectl.ok(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: node } }));
    await kubectl.ok(['cordon', node]);
    expect(await kubectl.ok(['get', 'node', node])).toContain('SchedulingDisabled');
    await kubectl.ok(['taint', 'node', node, 'gpu=no:NoSchedule']);
    await kubectl.ok(['uncordon', node]);
    expect(await kubectl.ok(['get', 'node', node, '-o', 'jsonpath={.spec}'])).toBe('{"taints":[{"effect":"NoSchedule","key":"gpu","value":"no"}]}');
    await kubectl.ok(['create', 'namespace', `team-of-${namespace}`]);
    expect(await kubectl.ok(['get', 'ns', `team-of-${namespace}`, '--no-headers'])).toMatch(/^team-of-\w+\s+Active/);
  });

  it('explains a kind and its fields from the schema that validates', async () => {
    expect(await kubectl.ok(['explain', 'vm'])).toContain('VirtualMachine is a kind of corral.dev/v1');
    expect(await kubectl.ok(['explain', 'vm.spec.source'])).toContain('exactly one of image or snapshot');
  });

  it('diffs and dry-runs on the server', async () => {
    await kubectl.ok(['apply', '-f', '-'], manifest('diffed'));
    const { exitCode, stdout } = await kubectl.run(['diff', '-f', '-'], manifest('diffed', { powerState: 'Stopped' }));
    expect([exitCode, stdout]).toEqual([1, expect.stringContaining('+  powerState: Stopped')]);
    expect(await kubectl.ok(['apply', '--dry-run=server', '-f', '-'], manifest('never-stored'))).toContain('created (server dry run)');
    expect((await kubectl.run(['get', 'vm', 'never-stored'])).exitCode).toBe(1);
  });
});

describe('the official JavaScript client', () => {
  function config(): KubeConfig {
    const kubeConfig = new KubeConfig();
    const server = api.url.replace('http:', 'https:');
    kubeConfig.loadFromClusterAndUser({ name: 'corral', server, skipTLSVerify: false, caData: Buffer.from(api.certificate).toString('base64') }, { name: 'admin', token: ADMIN_TOKEN });
    return kubeConfig;
  }
  const kind = { group: 'corral.dev', version: 'v1', namespace: 'default', plural: 'virtualmachines' };

  it('creates, reads, lists and deletes, and sees refusals as their code', async () => {
    const machines = config().makeApiClient(CustomObjectsApi);
    await machines.createNamespacedCustomObject({ ...kind, body: JSON.parse(manifest('js')) as object });
    const stored = (await machines.getNamespacedCustomObject({ ...kind, name: 'js' })) as KubernetesObject;
    expect(stored.metadata?.uid).toBeDefined();
    await expect(machines.createNamespacedCustomObject({ ...kind, body: JSON.parse(manifest('js')) as object })).rejects.toMatchObject({ code: 409 });
    await machines.deleteNamespacedCustomObject({ ...kind, name: 'js' });
    const namespaces = await config().makeApiClient(CoreV1Api).listNamespace();
    expect(namespaces.items.map(({ metadata }) => metadata?.name)).toContain('default');
  });

  it('follows a collection with its informer', async () => {
    const kubeConfig = config();
    const machines = kubeConfig.makeApiClient(CustomObjectsApi);
    const list = async () => (await machines.listNamespacedCustomObject(kind)) as KubernetesListObject<KubernetesObject>;
    const informer = makeInformer(kubeConfig, '/apis/corral.dev/v1/namespaces/default/virtualmachines', list);
    const seen: string[] = [];
    informer.on('add', ({ metadata }) => seen.push(`add ${metadata?.name}`));
    informer.on('update', ({ metadata }) => seen.push(`update ${metadata?.name}`));
    informer.on('delete', ({ metadata }) => seen.push(`delete ${metadata?.name}`));
    await informer.start();
    try {
      const path = '/apis/corral.dev/v1/namespaces/default/virtualmachines';
      await api.request('POST', path, manifest('followed'));
      await api.request('PATCH', `${path}/followed`, { metadata: { labels: { x: 'y' } } }, { 'content-type': 'application/merge-patch+json' });
      await api.request('DELETE', `${path}/followed`);
      await until(() => seen.includes('delete followed'), { timeoutMs: 20_000, what: 'the deletion' });
      expect(seen.filter((event) => event.endsWith(' followed'))).toEqual(['add followed', 'update followed', 'delete followed']);
    } finally {
      await informer.stop();
    }
  });
});
