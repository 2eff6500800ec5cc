import { type Cause, type KeyQueue } from '@corral/reconcile';
import { until } from './until.ts';

const WAIT = { timeoutMs: 10_000, everyMs: 5 };

/** What controllers rely on, wherever their keys wait. `fresh` answers a queue that nothing has been added to. */
export function keyQueueContract(title: string, fresh: () => KeyQueue): void {
  describe(`${title} as a KeyQueue`, () => {
    const started: KeyQueue[] = [];
    afterEach(async () => {
      await Promise.all(started.splice(0).map((queue) => queue.stop()));
    });

    /** Starts a queue whose work on a key ends when the test lets it. */
    function begin(queue: KeyQueue, concurrency = 1) {
      const taken: string[] = [];
      const causes: Cause[] = [];
      const atWork = new Map<string, () => void>();
      started.push(queue);
      queue.start((key, cause) => {
        taken.push(key);
        causes.push(cause);
        if (atWork.has(key)) taken.push(`${key} beside itself`);
        return new Promise((resolve) => {
          atWork.set(key, () => {
            atWork.delete(key);
            resolve();
          });
        });
      }, concurrency);
      const finish = async (key: string): Promise<void> => {
        const end = await until(() => atWork.get(key), { ...WAIT, what: `work on ${key}` });
        end();
      };
      return {
        taken,
        causes,
        atWork,
        finish,
        count: (n: number) => until(() => taken.length >= n, { ...WAIT, what: `${n} keys taken` }),
        async stop() {
          const stopping = queue.stop();
          for (const end of atWork.values()) end();
          await stopping;
        },
      };
    }

    it('hands a key out once however often it was added while it waited', async () => {
      const queue = fresh();
      const work = begin(queue);
      queue.add('default/first');
      await work.count(1);
      for (const key of ['default/a', 'default/b', 'default/a', 'default/a']) queue.add(key);
      await until(async () => (await queue.depth()) === 2, { ...WAIT, what: 'two keys wait' });
      await work.finish('default/first');
      await work.finish('default/a');
      await work.finish('default/b');
      queue.add('default/last');
      await work.finish('default/last');
      expect(work.taken).toEqual(['default/first', 'default/a', 'default/b', 'default/last']);
      await work.stop();
    });

    it('hands a key out once more when it was added while it was worked on, and only when that is over', async () => {
      const queue = fresh();
      const work = begin(queue, 4);
      queue.add('default/a');
      await work.count(1);
      for (let i = 0; i < 3; i += 1) queue.add('default/a');
      // Another key, added later, is at work: so `a` could have been.
      queue.add('default/b');
      await work.count(2);
      expect(work.taken).toEqual(['default/a', 'default/b']);
      await work.finish('default/a');
      await work.count(3);
      await work.finish('default/a');
      queue.add('default/c');
      await work.count(4);
      expect(work.taken).toEqual(['default/a', 'default/b', 'default/a', 'default/c']);
      await work.stop();
    });

    it('works on as many keys at once as it may, and not on more', async () => {
      const queue = fresh();
      const work = begin(queue, 2);
      for (const key of ['default/a', 'default/b', 'default/c']) queue.add(key);
      await work.count(2);
      await until(async () => (await queue.depth()) === 1, { ...WAIT, what: 'the third waits' });
      expect(work.atWork.size).toBe(2);
      await work.finish('default/a');
      await work.count(3);
      await work.stop();
    });

    it('keeps the shortest of several waits', async () => {
      const queue = fresh();
      const work = begin(queue);
      const begun = performance.now();
      queue.addAfter('default/a', 60_000);
      queue.addAfter('default/a', 300);
      queue.addAfter('default/a', 30_000);
      await work.count(1);
      expect(performance.now() - begun).toBeGreaterThanOrEqual(295);
      expect(performance.now() - begun).toBeLessThan(10_000);
      await work.stop();
    });

    it('does not let a wait hold up a key that is added meanwhile', async () => {
      const queue = fresh();
      const work = begin(queue);
      queue.addAfter('default/a', 60_000);
      queue.add('default/a');
      await work.count(1);
      await work.stop();
    });

    it('takes a wait asked for by the work itself', async () => {
      const queue = fresh();
      let looks = 0;
      started.push(queue);
      queue.start(async (key) => {
        looks += 1;
        if (looks < 3) queue.addAfter(key, 20);
      }, 1);
      queue.add('default/a');
      await until(() => looks === 3, { ...WAIT, what: 'three looks' });
    });

    it('says why a key is looked at', async () => {
      const queue = fresh();
      const work = begin(queue);
      queue.add('default/changed');
      await work.finish('default/changed');
      queue.add('default/resynced', 'Resync');
      await work.finish('default/resynced');
      queue.addAfter('default/again', 10);
      await work.finish('default/again');
      expect(work.causes).toEqual(['Change', 'Resync', 'Again']);
      await work.stop();
    });

    it('goes on after work that failed', async () => {
      const queue = fresh();
      const taken: string[] = [];
      started.push(queue);
      queue.start((key) => {
        taken.push(key);
        return Promise.reject(new Error('on purpose'));
      }, 1);
      queue.add('default/a');
      await until(() => taken.length === 1, { ...WAIT, what: 'the first look' });
      queue.add('default/a');
      await until(() => taken.length === 2, { ...WAIT, what: 'the second look' });
    });

    it('waits for running work when it stops, hands out nothing more, and starts again', async () => {
      const queue = fresh();
      const work = begin(queue);
      queue.add('default/a');
      await work.count(1);
      queue.add('default/b');
      let stopped = false;
      const stopping = queue.stop().then(() => {
        stopped = true;
      });
      expect(stopped).toBe(false);
      await work.finish('default/a');
      await stopping;
      expect(work.taken).toEqual(['default/a']);
      const again = begin(queue);
      queue.add('default/c');
      await until(() => again.atWork.size > 0 || again.taken.length > 0, { ...WAIT, what: 'work after the new start' });
      await again.stop();
    });
  });
}
