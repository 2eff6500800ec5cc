import { Problem, virtualMachines, type KindDefinition, type VirtualMachine } from '@corral/contracts';
import { EvictionReconciler } from './eviction.reconciler.ts';

const aVm = (name: string): VirtualMachine =>
  ({
    apiVersion: 'corral.dev/v1', kind: 'VirtualMachine',
    metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { source: { image: 'i' }, restartPolicy: 'Always', nodeName: 'gone' },
    status: { phase: 'Running', incarnation: 1 },
  }) as unknown as VirtualMachine;

describe('eviction from a lost node', () => {
  it('takes everybody else from it when one machine cannot be written, and tries that one again', async () => {
    const machines = ['stubborn', 'first', 'second'].map(aVm);
    const left: string[] = [];
    const informers = {
      of: (kind: KindDefinition) => ({
        index: () => () => machines,
        get: () => undefined,
        list: () => ((kind as unknown) === virtualMachines ? machines : []),
      }),
    };
    const unbinding = {
      async unbind(vm: VirtualMachine) {
        if (vm.metadata.name === 'stubborn') throw new Problem('object.conflict', 'changed meanwhile');
        left.push(vm.metadata.name);
        return vm;
      },
    };
    const nothing = { inc: () => undefined };
    const reconciler = new EvictionReconciler(
      {} as never, informers as never, { record: () => undefined } as never, unbinding as never, {} as never,
      { recovered: nothing } as never, { evictAfterMs: 0 }, { add: () => undefined } as never, { now: () => 0 },
    );
    await expect(reconciler.reconcile({ namespace: '', name: 'gone' })).rejects.toMatchObject({ code: 'object.conflict' });
    expect(left).toEqual(['first', 'second']);
  });

  it('is not remembered once the node is gone and holds nobody', async () => {
    const bound = new Map([['gone', [aVm('left')]]]);
    const informers = { of: () => ({ index: () => (name: string) => bound.get(name) ?? [], get: () => undefined, list: () => [] }) };
    let now = 0;
    const reconciler = new EvictionReconciler(
      {} as never, informers as never, {} as never, {} as never, {} as never, {} as never, { evictAfterMs: 5_000 }, { add: () => undefined } as never, { now: () => now },
    );
    const look = (name: string) => reconciler.reconcile({ namespace: '', name });
    await expect(look('gone')).resolves.toEqual({ type: 'RequeueAfter', delayMs: 5_000 });
    bound.delete('gone');
    await look('another');
    now = 10_000;
    for (const name of ['gone', 'another']) {
      bound.set(name, [aVm('late')]);
      await expect(look(name)).resolves.toEqual({ type: 'RequeueAfter', delayMs: 5_000 });
    }
  });
});
