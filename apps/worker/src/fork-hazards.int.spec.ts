import { findCondition, type ForkResult, nodes, virtualMachines } from '@corral/contracts';
import { until } from '@corral/testing';
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
/** The number of the last line that is there whole. */
const lastShown = (screen: string): string => [...screen.matchAll(/shown-(\d+)\./g)].at(-1)?.[1] ?? '0';
async function fork(...names: readonly string[]): Promise<ForkResult> {
  const answer = await fetch(at('source', 'fork'), { method: 'POST', headers: { ...ADMIN, 'content-type': 'application/json' }, body: JSON.stringify({ names }) });
  if (answer.status !== 201) throw new Error(`fork: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as ForkResult;
}

describe('A live fork', () => {
  it('is nothing to those who use its source: a command under way says all it has to say, and its screen is shown throughout', async () => {
    const numbers = Array.from({ length: 40 }, (_, index) => String(index + 1));
    const command = said('source', `for i in $(seq ${numbers.length}); do echo $i; echo "shown-$i." > /dev/tty0; sleep 0.1; done`);
    let isOver = false;
    const seen: string[] = [];
    const codes = new Set<number>();
    const watching = (async () => {
      while (!isOver) {
        const picture = await fetch(at('source', 'screenshot?format=text'), { headers: ADMIN });
        codes.add(picture.status);
        seen.push(lastShown(await picture.text()));
      }
    })();
    await until(() => seen.at(-1) !== undefined && seen.at(-1) !== '0', { timeoutMs: 30_000, what: 'the screen shows the first' });
    await fork('onlooker-1', 'onlooker-2');
    // Asked for after the moment was held, at the latest.
    const looks = seen.length + 2;
    await until(() => seen.length >= looks, { timeoutMs: 10_000, what: 'the screen is looked at again' });
    const atFork = Number(seen.at(-1));
    expect((await command).split('\n')).toEqual(numbers);
    await until(() => seen.at(-1) === '40', { timeoutMs: 10_000, what: 'the screen shows the last' });
    isOver = true;
    await watching;
    expect([[...codes], seen.map(Number)]).toEqual([[200], seen.map(Number).toSorted((a, b) => a - b)]);
    // Its forks have been shown the same, up to then.
    await corral.ready('onlooker-1');
    const screen = await (await fetch(at('onlooker-1', 'screenshot?format=text'), { headers: ADMIN })).text();
    expect(Number(lastShown(screen))).toBeGreaterThan(0);
    expect(Number(lastShown(screen))).toBeLessThanOrEqual(atFork);
  });

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
