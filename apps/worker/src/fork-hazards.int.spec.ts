import { findCondition, type ForkResult, nodes, virtualMachines } from '@corral/contracts';
import { jest } from '@jest/globals';
import { ADMIN, Corral, NODE_NAME, readyOf } from '../test/corral.ts';

jest.setTimeout(240_000);

let corral: Corral;
beforeAll(async () => {
  corral = await Corral.start();
  await corral.run('source');
});
afterAll(() => corral?.stop());

const said = async (name: string, command: string): Promise<string> => (await corral.execAnywhere(name, command)).stdout.trim();
const at = (name: string, what: string): string => `${corral.url}/apis/corral.dev/v1/namespaces/default/virtualmachines/${name}/${what}`;
async function fork(...names: readonly string[]): Promise<ForkResult> {
  const answer = await fetch(at('source', 'fork'), { method: 'POST', headers: { ...ADMIN, 'content-type': 'application/json' }, body: JSON.stringify({ names }) });
  if (answer.status !== 201) throw new Error(`fork: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as ForkResult;
}

describe('A live fork', () => {
  it('whose node agent restarts before it has begun fails and says so; what runs already goes on, and its source can be forked anew', async () => {
    await said('source', 'echo then > /tmp/mark');
    const { moment } = await fork('early');
    await corral.client.create(virtualMachines, {
      metadata: { name: 'late', namespace: 'default', annotations: { 'corral.dev/fork-moment': moment } },
      spec: { source: { virtualMachine: 'source' }, nodeSelector: { zone: 'later' } } as never,
    });
    await corral.ready('early');
    await said('early', 'echo mine > /tmp/mark');
    await corral.stopWorker('SIGTERM');
    corral.startWorker();
    await corral.ready('source', 2);
    for (;;) {
      const node = await corral.client.get(nodes, undefined, NODE_NAME);
      if (!node) throw new Error('the node is there');
      const isLabelled = await corral.client.replace(nodes, { ...node, metadata: { ...node.metadata, labels: { ...node.metadata.labels, zone: 'later' } } }).then(() => true, () => false);
      if (isLabelled) break;
    }
    const late = await corral.when('late', 'Failed', ({ status }) => status?.phase === 'Failed');
    expect(readyOf(late)).toMatchObject({ reason: 'ForkFailed', message: expect.stringContaining('NodeRestarted') as unknown });
    expect(late.status?.incarnation).toBeUndefined();
    expect((await corral.ready('early', 2)).status?.startedFrom?.type).toBe('Suspended');
    expect([await said('source', 'cat /tmp/mark'), await said('early', 'cat /tmp/mark')]).toEqual(['then', 'mine']);
    await fork('again');
    expect(findCondition((await corral.ready('again')).status?.conditions, 'Ready')?.status).toBe('True');
    expect(await said('again', 'cat /tmp/mark; hostname')).toBe('then\nagain');
  });
});
