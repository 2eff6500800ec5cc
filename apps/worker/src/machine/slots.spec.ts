import { Slots } from './slots.ts';

it('lets so many work at a time, the others in the order they came, and goes on after a failure', async () => {
  const slots = new Slots(2);
  const order: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<undefined>>();
  const work = (name: string): Promise<void> =>
    slots.run(async () => {
      order.push(name);
      const gate = Promise.withResolvers<undefined>();
      gates.set(name, gate);
      await gate.promise;
    });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const all = ['a', 'b', 'c', 'd'].map(work);
  await turn();
  expect([order, slots.taken]).toEqual([['a', 'b'], 4]);
  gates.get('b')?.resolve(undefined);
  await turn();
  expect(order).toEqual(['a', 'b', 'c']);
  const failed = expect(all[0]).rejects.toThrow('no');
  gates.get('a')?.reject(new Error('no'));
  await failed;
  await turn();
  expect(order).toEqual(['a', 'b', 'c', 'd']);
  for (const name of ['c', 'd']) gates.get(name)?.resolve(undefined);
  await Promise.all(all.slice(1));
  expect(slots.taken).toBe(0);
});
