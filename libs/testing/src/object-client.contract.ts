import {
  findCondition, leases, namespaces, nodes, withCondition, type KindDefinition, type KubeObject, type Lease, type Node, type NodeSpec, type NodeStatus,
  type ObjectClient, type WatchEvent,
} from '@corral/contracts';
import { until } from './until.ts';

export interface ObjectClientSubject {
  readonly client: ObjectClient;
  /** Makes the server forget its change history up to now. */
  forgetHistory(): Promise<void>;
}

/** What controllers and nodes rely on, whichever way they reach the API. Run it against every adapter of ObjectClient. */
export function objectClientContract(title: string, subject: () => ObjectClientSubject): void {
  describe(`${title} as an ObjectClient`, () => {
    const client = (): ObjectClient => subject().client;
    let count = 0;
    const unique = (prefix: string): string => `${prefix}-${process.pid}-${(count += 1)}`;

    async function aNamespace(): Promise<string> {
      const name = unique('ns');
      await client().create(namespaces as KindDefinition, { metadata: { name } });
      return name;
    }
    const aLease = (namespace: string, labels: Record<string, string> = {}): Promise<Lease> =>
      client().create(leases, { metadata: { name: unique('lease'), namespace, labels }, spec: { holderIdentity: 'a' } });
    const aNode = (): Promise<Node> => client().create(nodes, { metadata: { name: unique('node') }, spec: {} });
    const codeOf = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => 'accepted', (error: { code?: unknown }) => error.code);

    it('creates an object with identity, version and generation, and reads it back as it was answered', async () => {
      const created = await aLease(await aNamespace(), { app: 'demo' });
      expect(created).toMatchObject({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', spec: { holderIdentity: 'a' } });
      expect(created.metadata).toMatchObject({ generation: 1, labels: { app: 'demo' } });
      expect(created.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
      expect(created.metadata.resourceVersion).toMatch(/^\d+$/);
      expect(created.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(await client().get(leases, created.metadata.namespace, created.metadata.name)).toEqual(created);
    });

    it('answers undefined for what does not exist', async () => {
      expect(await client().get(leases, await aNamespace(), 'nobody')).toBeUndefined();
    });

    it('refuses a second object of the same name, an object in no namespace, and a bad name, each by its code', async () => {
      const { metadata } = await aLease(await aNamespace());
      const again = { metadata: { name: metadata.name, namespace: metadata.namespace ?? '' }, spec: {} };
      expect(await codeOf(client().create(leases, again))).toBe('object.exists');
      expect(await codeOf(client().create(leases, { metadata: { name: 'x', namespace: unique('missing') } }))).toBe('object.not-found');
      expect(await codeOf(client().create(leases, { metadata: { name: 'Not A Name', namespace: metadata.namespace ?? '' } }))).toBe('object.invalid');
    });

    it('refuses a write of an object that has changed since, and changes nothing', async () => {
      const lease = await aLease(await aNamespace());
      const second = await client().replace(leases, { ...lease, spec: { holderIdentity: 'b' } });
      expect(second.metadata.generation).toBe(2);
      expect(await codeOf(client().replace(leases, { ...lease, spec: { holderIdentity: 'c' } }))).toBe('object.conflict');
      expect(await client().get(leases, lease.metadata.namespace, lease.metadata.name)).toEqual(second);
    });

    it('keeps spec and status apart: each write leaves the other as it is, and only spec moves the generation', async () => {
      const node = await aNode();
      const conditions = withCondition(undefined, { type: 'Test', status: 'True', reason: 'Written' }, new Date());
      const withStatus = await client().replaceStatus(nodes, { ...node, spec: { unschedulable: true }, status: { conditions } });
      expect(withStatus.spec).toEqual(node.spec);
      expect(withStatus.metadata.generation).toBe(node.metadata.generation);
      expect(findCondition(withStatus.status?.conditions, 'Test')?.status).toBe('True');

      const cordoned = await client().replace<NodeSpec, NodeStatus>(nodes, { ...withStatus, spec: { unschedulable: true }, status: {} });
      expect(cordoned.spec?.unschedulable).toBe(true);
      expect(findCondition(cordoned.status?.conditions, 'Test')?.status).toBe('True');
      expect(cordoned.metadata.generation).toBe(node.metadata.generation + 1);
    });

    it('writes nothing when nothing changed', async () => {
      const lease = await aLease(await aNamespace());
      const same = await client().replace(leases, lease);
      expect(same.metadata.resourceVersion).toBe(lease.metadata.resourceVersion);
    });

    it('lists one namespace or all, by labels and by fields', async () => {
      const namespace = await aNamespace();
      const [a, b] = [await aLease(namespace, { app: 'a' }), await aLease(namespace, { app: 'b' })];
      const other = await aLease(await aNamespace(), { app: 'a' });
      const names = async (options: Parameters<ObjectClient['list']>[1]): Promise<string[]> =>
        (await client().list(leases, options)).items.map(({ metadata }) => metadata.name);
      expect(await names({ namespace })).toEqual([a.metadata.name, b.metadata.name].sort());
      expect(await names({ namespace, labelSelector: 'app=b' })).toEqual([b.metadata.name]);
      expect(await names({ namespace, labelSelector: 'app!=b' })).toEqual([a.metadata.name]);
      expect(await names({ fieldSelector: `metadata.name=${other.metadata.name}` })).toEqual([other.metadata.name]);
    });

    it('deletes once, minds the uid, and finds nothing wrong with deleting what is gone', async () => {
      const lease = await aLease(await aNamespace());
      const { namespace, name, uid } = lease.metadata;
      expect(await codeOf(client().delete(leases, namespace, name, { uid: '00000000-0000-4000-8000-000000000000' }))).toBe('object.conflict');
      await client().delete(leases, namespace, name, { uid });
      expect(await client().get(leases, namespace, name)).toBeUndefined();
      await client().delete(leases, namespace, name);
    });

    it('holds a deleted object until its last finalizer is taken away', async () => {
      const namespace = await aNamespace();
      const { metadata } = await client().create(leases, { metadata: { name: 'held', namespace, finalizers: ['example.com/hold'] }, spec: {} });
      await client().delete(leases, namespace, 'held');
      const held = await client().get(leases, namespace, 'held');
      if (!held) throw new Error('the object is gone although a finalizer holds it');
      expect(held.metadata.deletionTimestamp).toBeDefined();
      expect(held.metadata.generation).toBe(metadata.generation + 1);
      await client().replace(leases, { ...held, metadata: { ...held.metadata, finalizers: [] } });
      expect(await client().get(leases, namespace, 'held')).toBeUndefined();
    });

    it('watches from a list on: what happens to the selection, in order, until it is told to stop', async () => {
      const namespace = await aNamespace();
      const before = await aLease(namespace, { app: 'a' });
      const { resourceVersion } = await client().list(leases, { namespace });
      const watch = follow(client(), leases, { namespace, labelSelector: 'app=a', resourceVersion });
      try {
        const created = await aLease(namespace, { app: 'a' });
        await aLease(namespace, { app: 'other' });
        const changed = await client().replace(leases, { ...created, spec: { holderIdentity: 'b' } });
        const left = await client().replace(leases, { ...changed, metadata: { ...changed.metadata, labels: { app: 'b' } } });
        await client().delete(leases, namespace, before.metadata.name);
        await until(() => watch.events.length === 4, { timeoutMs: 10_000, what: 'four events' });
        expect(watch.events.map(({ type, object }) => [type, object.metadata.name])).toEqual([
          ['ADDED', created.metadata.name],
          ['MODIFIED', created.metadata.name],
          ['DELETED', created.metadata.name],
          ['DELETED', before.metadata.name],
        ]);
        // Whoever stops matching is shown as it was last seen, with the version at which it left.
        expect(watch.events[2]?.object.metadata).toMatchObject({ labels: { app: 'a' }, resourceVersion: left.metadata.resourceVersion });
      } finally {
        await watch.stop();
      }
    });

    it('says that a watch must begin anew when history was forgotten', async () => {
      const namespace = await aNamespace();
      const { resourceVersion } = await client().list(leases, { namespace });
      await aLease(namespace);
      await subject().forgetHistory();
      const watch = follow(client(), leases, { namespace, resourceVersion });
      expect(await codeOf(watch.ended)).toBe('version.expired');
    });

    it('lets one of several writers with the same version win, every time', async () => {
      const lease = await aLease(await aNamespace());
      const results = await Promise.all([1, 2, 3, 4, 5].map((writer) => codeOf(client().replace(leases, { ...lease, spec: { holderIdentity: String(writer) } }))));
      expect(results.filter((result) => result === 'accepted')).toHaveLength(1);
      expect(results.filter((result) => result === 'object.conflict')).toHaveLength(4);
    });
  });
}

interface Following {
  readonly events: readonly WatchEvent<KubeObject>[];
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** A watch that collects its events, bookmarks aside. */
function follow<Spec, Status>(client: ObjectClient, kind: KindDefinition<Spec, Status>, options: { namespace: string; labelSelector?: string; resourceVersion: string }): Following {
  const abort = new AbortController();
  const events: WatchEvent<KubeObject>[] = [];
  const read = async (): Promise<void> => {
    for await (const event of client.watch(kind, { ...options, signal: abort.signal })) {
      if (event.type !== 'BOOKMARK') events.push(event);
    }
  };
  const ended = read();
  ended.catch(() => undefined);
  return {
    events,
    ended,
    stop: async () => {
      abort.abort();
      await ended;
    },
  };
}
