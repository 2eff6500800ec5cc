import { leases, nodes, Problem, type KindDefinition, type Node, type VirtualMachine } from '@corral/contracts';
import { NodeReconciler } from './node.reconciler.ts';

const conflict = () => new Problem('object.conflict', 'changed meanwhile');
const aNode = (name: string): Node =>
  ({ apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name, resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' }, spec: {}, status: { conditions: [] } }) as unknown as Node;
const aVm = (name: string, nodeName: string): VirtualMachine => ({ metadata: { name, namespace: 'default', uid: name }, spec: { nodeName }, status: { phase: 'Running' } }) as unknown as VirtualMachine;

/** Nodes that fall silent, two unless said otherwise, among five. */
async function silentNodes(machines: readonly VirtualMachine[] = [], silent = new Set(['first', 'second'])) {
  const byName = new Map(['first', 'second', 'a', 'b', 'c'].map((name) => [name, aNode(name)]));
  let now = 0;
  let stopped = 0;
  const stubborn = new Set<string>();
  const written: { readonly metadata: { readonly name: string } }[] = [];
  const informers = {
    of: (kind: KindDefinition) => ({
      index: () => (nodeName: string) => machines.filter(({ spec }) => spec?.nodeName === nodeName),
      get: (_namespace: string | undefined, name: string) =>
        (kind as unknown) === leases ? { spec: { renewTime: silent.has(name) ? 'once' : String(now) } } : (kind as unknown) === nodes ? byName.get(name) : undefined,
      list: () => [...byName.values()],
      observe: () => undefined,
    }),
  };
  const write = async <T extends { readonly metadata: { readonly name: string } }>(_kind: KindDefinition, object: T): Promise<T> => {
    if (stubborn.has(object.metadata.name)) throw conflict();
    written.push(object);
    return object;
  };
  const evicting: string[] = [];
  const objects = {
    replaceStatus: (kind: KindDefinition, object: Node) => ((kind as unknown) === nodes ? Promise.resolve(object) : write(kind, object)),
    replace: async (kind: KindDefinition, node: Node) => {
      await write(kind, node);
      if (node.spec?.taints?.some(({ effect }) => effect === 'NoExecute')) evicting.push(node.metadata.name);
      return node;
    },
  };
  const metrics = { silent: { inc: () => undefined }, evictionsStopped: { set: (value: number) => void (stopped = value) } };
  const reconciler = new NodeReconciler(
    objects as never, informers as never, { record: () => undefined } as never, metrics as never, { evictedNodesPerMinute: 1 }, { add: () => undefined } as never, { now: () => now },
  );
  const look = (name: string) => reconciler.reconcile({ namespace: '', name });
  for (const name of byName.keys()) await look(name);
  now = 1_000_000;
  return { look, stubborn, evicting, written, silent, stopped: () => stopped, pass: (ms: number) => void (now += ms) };
}

describe('silent nodes', () => {
  it('pass one at a time, and one whose taint could not be written has not passed', async () => {
    const { look, stubborn, evicting } = await silentNodes();
    stubborn.add('first');
    await expect(look('first')).rejects.toMatchObject({ code: 'object.conflict' });
    await look('second');
    expect(evicting).toEqual(['second']);
    stubborn.clear();
    await look('first');
    expect(evicting).toEqual(['second']);
  });

  it('have all their machines reported, whichever of them cannot be written', async () => {
    const { look, stubborn, written } = await silentNodes([aVm('stubborn', 'first'), aVm('other', 'first')]);
    stubborn.add('stubborn');
    await expect(look('first')).rejects.toMatchObject({ code: 'object.conflict' });
    expect(written.map(({ metadata }) => metadata.name)).toContain('other');
  });

  it('of which most vanished together keep what they have while they come back, however far apart', async () => {
    const { look, evicting, silent, stopped, pass } = await silentNodes([], new Set(['first', 'second', 'a', 'b', 'c']));
    const everybody = ['first', 'second', 'a', 'b', 'c'];
    for (const name of everybody) await look(name);
    expect(stopped()).toBe(1);
    // Each comes back almost a term after the one before; the fourth is the last that the brake alone would have helped.
    for (const back of ['a', 'b', 'c']) {
      silent.delete(back);
      pass(39_000);
      for (const name of everybody) await look(name);
    }
    expect(stopped()).toBe(0);
    expect(evicting).toEqual([]);
    silent.delete('first');
    pass(500);
    for (const name of everybody) await look(name);
    expect(evicting).toEqual([]);
    // Whoever stays away longer than that is as lost as any other.
    pass(40_000);
    await look('second');
    expect(evicting).toEqual(['second']);
  });

  it('that are all back leave no brake on', async () => {
    const { look, silent, stopped } = await silentNodes([], new Set(['first', 'second', 'a', 'b', 'c']));
    for (const name of ['first', 'second', 'a', 'b', 'c']) await look(name);
    const back = [...silent];
    silent.clear();
    for (const name of back) await look(name);
    expect(stopped()).toBe(0);
  });
});
