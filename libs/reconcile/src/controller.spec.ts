import { Controller, type ReconcileResult } from './controller.ts';
import { settle, VirtualTimers } from './virtual-timers.ts';

const key = (name: string) => ({ namespace: 'default', name });
const done: ReconcileResult = { type: 'Done' };

describe('Controller', () => {
  it('tries a failed key again after a growing wait, and forgets the failures once it succeeds', async () => {
    const timers = new VirtualTimers();
    const at: number[] = [];
    const errors: unknown[] = [];
    const controller = new Controller({
      name: 'test',
      timers,
      random: () => 1,
      backoff: { baseMs: 100, maxMs: 1_000 },
      onError: (_key, error) => errors.push(error),
      async reconcile() {
        at.push(timers.now());
        if (at.length === 1 || at.length === 2 || at.length === 4) throw new Error('not yet');
        return done;
      },
    });
    controller.start();
    controller.enqueue(key('a'));
    await timers.advance(1_000);
    controller.enqueue(key('a'));
    await timers.advance(1_000);
    expect(at).toEqual([0, 100, 300, 1_000, 1_100]);
    expect(errors).toHaveLength(3);
    await controller.stop();
  });

  it('looks again after the wait a reconciler asks for', async () => {
    const timers = new VirtualTimers();
    const at: number[] = [];
    const controller = new Controller({
      name: 'test',
      timers,
      async reconcile() {
        at.push(timers.now());
        return at.length < 3 ? { type: 'RequeueAfter', delayMs: 250 } : done;
      },
    });
    controller.start();
    controller.enqueue(key('a'));
    await timers.advance(10_000);
    expect(at).toEqual([0, 250, 500]);
    await controller.stop();
  });

  it('works on as many keys at once as it may, and never on one key twice', async () => {
    const running: string[] = [];
    const gates = new Map<string, () => void>();
    const controller = new Controller({
      name: 'test',
      timers: new VirtualTimers(),
      concurrency: 2,
      async reconcile({ name }) {
        running.push(name);
        await new Promise<void>((resolve) => gates.set(name, resolve));
        running.splice(running.indexOf(name), 1);
        return done;
      },
    });
    controller.start();
    for (const name of ['a', 'b', 'c']) controller.enqueue(key(name));
    await settle();
    controller.enqueue(key('a'));
    await settle();
    expect(running).toEqual(['a', 'b']);
    gates.get('b')?.();
    await settle();
    expect(running).toEqual(['a', 'c']);
    gates.get('a')?.();
    await settle();
    expect(running).toEqual(['c', 'a']);
    for (const open of gates.values()) open();
    await controller.stop();
  });

  it('tells running reconcilers when it stops, and waits for them', async () => {
    let finished = false;
    const controller = new Controller({
      name: 'test',
      timers: new VirtualTimers(),
      async reconcile(_key, signal) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        await settle();
        finished = true;
        return done;
      },
    });
    controller.start();
    controller.enqueue(key('a'));
    await settle();
    await controller.stop();
    expect(finished).toBe(true);
  });
});
