import { leases, namespaces, nodes, virtualMachineImages, virtualMachines, type KindDefinition, type KubeObject, type Lease, type ObjectClient, type WatchEvent } from '@corral/contracts';
import { startRedis, type EmbeddedRedis } from '@corral/embedded';
import { Redis } from 'ioredis';
import { eventually, startApi, type ApiPeer, type ApiStack } from '../../test/api-stack.ts';
import { registerNode } from '../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../test/wishes.ts';

let count = 0;
const unique = (prefix: string): string => `${prefix}-${(count += 1)}`;
const aNamespace = async (client: ObjectClient): Promise<string> => {
  const name = unique('ns');
  await client.create(namespaces as KindDefinition, { metadata: { name } });
  return name;
};

describe('several API processes on one database', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi({ CORRAL_ROLES: 'api,controllers' });
  }, 60_000);
  afterAll(() => stack.stop(), 60_000);

  const aLease = (client: ObjectClient, namespace: string): Promise<Lease> => client.create(leases, { metadata: { name: unique('lease'), namespace }, spec: { holderIdentity: '0' } });

  it('tell watchers of each of what was written through the other', async () => {
    const peer = await stack.another({ CORRAL_ROLES: 'api' });
    const namespace = await aNamespace(stack.admin);
    const pairs: readonly (readonly [ObjectClient, ObjectClient])[] = [[stack.admin, peer.admin], [peer.admin, stack.admin]];
    for (const [writer, watcher] of pairs) {
      const { resourceVersion } = await writer.list(leases, { namespace });
      const abort = new AbortController();
      const written = await aLease(writer, namespace);
      for await (const event of watcher.watch(leases, { namespace, resourceVersion, signal: abort.signal })) {
        expect(event).toEqual({ type: 'ADDED', object: written });
        break;
      }
      abort.abort();
    }
    await peer.stop();
  });

  it('let a watch go on at the other when one of them restarts: what it told, replayed, is the list, and nothing was told twice', async () => {
    const namespace = await aNamespace(stack.admin);
    const start = await stack.admin.list(leases, { namespace });
    let peer: ApiPeer = await stack.another({ CORRAL_ROLES: 'api' });
    const told: WatchEvent[] = [];
    const done = new AbortController();

    /** Follows like a client behind a load balancer: wherever it can, from where it was. */
    const follow = async (): Promise<void> => {
      for (let turn = 0; !done.signal.aborted; turn += 1) {
        const resourceVersion = told.at(-1)?.object.metadata.resourceVersion ?? start.resourceVersion;
        const server = turn % 2 === 0 ? peer.admin : stack.admin;
        const part = AbortSignal.any([done.signal, AbortSignal.timeout(700)]);
        try {
          for await (const event of server.watch(leases, { namespace, resourceVersion, signal: part })) if (event.type !== 'BOOKMARK') told.push(event);
        } catch (error) {
          if (!(error instanceof Error)) throw error;
        }
      }
    };
    const following = follow();

    const random = mulberry32(7);
    const alive: Lease[] = [];
    let isWriting = true;
    const write = async (): Promise<void> => {
      while (isWriting) {
        const server = random() < 0.5 ? stack.admin : peer.admin;
        const index = Math.floor(random() * alive.length);
        const known = alive[index];
        try {
          if (!known || random() < 0.3) alive.push(await aLease(server, namespace));
          else if (random() < 0.3) {
            alive.splice(index, 1);
            await server.delete(leases, namespace, known.metadata.name);
          } else {
            const written = await server.replace(leases, { ...known, spec: { ...known.spec, holderIdentity: String(random()) } });
            const at = alive.findIndex(({ metadata }) => metadata.uid === written.metadata.uid);
            if (at >= 0) alive[at] = written;
          }
        } catch (error) {
          // A write that met the restart, or another writer: whether it was done is what the list says.
          if (!(error instanceof Error)) throw error;
        }
      }
    };
    const writing = Promise.all([write(), write()]);
    try {
      for (let restart = 0; restart < 3; restart += 1) {
        const before = told.length;
        await eventually(async () => told.length > before + 20, 'the watch goes on');
        await peer.stop();
        peer = await stack.another({ CORRAL_ROLES: 'api' });
      }
    } finally {
      isWriting = false;
      await writing;
    }

    const list = await stack.admin.list(leases, { namespace });
    try {
      await eventually(async () => {
        expect(byName(replay(start.items, told))).toEqual(byName(list.items));
        return true;
      }, 'replay and list agree');
    } finally {
      done.abort();
      await following;
    }
    const versions = told.map(({ object }) => Number(object.metadata.resourceVersion));
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    await peer.stop();
  });
});

describe('roles in processes of their own', () => {
  let api: ApiStack;
  beforeAll(async () => {
    api = await startApi({ CORRAL_ROLES: 'api' });
  }, 60_000);
  afterAll(() => api.stop(), 60_000);

  it('bind, fetch and clean up together, and each only does its own', async () => {
    const controllers = await api.another({ CORRAL_ROLES: 'controllers' });
    for (const name of ['default', 'kube-node-lease']) await eventually(() => api.admin.get(namespaces, undefined, name), `the namespace ${name}`);
    await addTinyImage(api);
    await eventually(async () => (await api.admin.get(virtualMachineImages, undefined, 'tiny'))?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'), 'controllers fetch the image');
    await registerNode(api.agent, 'worker-1');
    await api.admin.create(virtualMachines, aVm('one'));
    expect((await fetch(`${controllers.url}/readyz`)).status).toBe(200);
    expect((await fetch(`${controllers.url}/api/v1/nodes`, { headers: { authorization: 'Bearer admin-token-of-tests' } })).status).toBe(404);
    expect((await api.admin.get(virtualMachines, 'default', 'one'))?.spec?.nodeName).toBeUndefined();

    const first = await api.another({ CORRAL_ROLES: 'scheduler' });
    const boundTo = (name: string) => eventually(async () => (await api.admin.get(virtualMachines, 'default', name))?.spec?.nodeName, `${name} is bound`);
    expect(await boundTo('one')).toBe('worker-1');

    // A second scheduler waits for its turn.
    const second = await api.another({ CORRAL_ROLES: 'scheduler' });
    const leads = async ({ url }: ApiPeer): Promise<boolean> => /corral_leader\{name="scheduler"\} 1/.test(await (await fetch(`${url}/metrics`, { headers: { authorization: 'Bearer admin-token-of-tests' } })).text());
    expect([await leads(first), await leads(second)]).toEqual([true, false]);
    await first.stop();
    await api.admin.create(virtualMachines, aVm('two'));
    expect(await boundTo('two')).toBe('worker-1');
    expect(await leads(second)).toBe(true);
    await Promise.all([controllers.stop(), second.stop()]);
  });
});

describe('controllers and Redis', () => {
  let stack: ApiStack;
  let redis: EmbeddedRedis;
  beforeAll(async () => {
    stack = await startApi();
    redis = stack.redis;
    await stack.another({ CORRAL_ROLES: 'controllers' });
  }, 60_000);
  afterAll(async () => {
    await stack.stop();
    await redis.stop();
  }, 60_000);

  /** Only the namespace controller, whose keys are shared, lets a namespace go. */
  async function aNamespaceComesAndGoes(): Promise<void> {
    const name = await aNamespace(stack.admin);
    await stack.admin.delete(namespaces, undefined, name);
    await eventually(async () => (await stack.admin.get(namespaces, undefined, name)) === undefined, `namespace ${name} is gone`);
  }
  const keysInRedis = async (): Promise<number> => {
    const client = new Redis(redis.url, { maxRetriesPerRequest: 1 });
    client.on('error', () => undefined);
    try {
      return (await client.keys('bull:corral.reconcile.*')).length;
    } finally {
      client.disconnect();
    }
  };

  it('share their keys in Redis', async () => {
    await aNamespaceComesAndGoes();
    expect(await keysInRedis()).toBeGreaterThan(0);
  });

  it('look at everything again when Redis was wiped, whatever waited in it', async () => {
    const client = new Redis(redis.url);
    // The namespace waits in Redis, and is wiped with it.
    await client.flushall();
    const name = await aNamespace(stack.admin);
    await stack.admin.delete(namespaces, undefined, name);
    await client.flushall();
    client.disconnect();
    await eventually(async () => (await stack.admin.get(namespaces, undefined, name)) === undefined, `namespace ${name} is gone`);
    await aNamespaceComesAndGoes();
  });

  it('go on without Redis, and with it again when it is back, empty', async () => {
    await redis.stop();
    await aNamespaceComesAndGoes();
    await registerNode(stack.agent, 'lonely');
    expect((await stack.admin.get(nodes, undefined, 'lonely'))?.metadata.name).toBe('lonely');
    redis = await startRedis({ home: stack.home });
    await eventually(async () => (await keysInRedis()) > 0, 'keys wait in Redis again');
    await aNamespaceComesAndGoes();
  });
});

function replay(start: readonly KubeObject[], told: readonly WatchEvent[]): readonly KubeObject[] {
  const objects = new Map(start.map((object) => [object.metadata.name, object]));
  for (const { type, object } of told) {
    if (type === 'DELETED') objects.delete(object.metadata.name);
    else objects.set(object.metadata.name, object);
  }
  return [...objects.values()];
}

const byName = (objects: readonly KubeObject[]): readonly KubeObject[] => [...objects].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));

/** A small generator with a seed, so that a failure can be seen again. Source: github.com/bryc/code, PRNGs, mulberry32. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
