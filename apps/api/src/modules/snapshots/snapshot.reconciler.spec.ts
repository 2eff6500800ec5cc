import { nodes, toKubeTime, type KindDefinition } from '@corral/contracts';
import { SnapshotReconciler } from './snapshot.reconciler.ts';

const snapshot = {
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot',
  metadata: { name: 's', namespace: 'default', uid: 's', resourceVersion: '1', generation: 1, creationTimestamp: toKubeTime(new Date()) },
  spec: { virtualMachine: 'vm', nodeName: 'worker-1' },
};
const aNode = (ready: 'True' | 'Unknown') => ({ metadata: { name: 'worker-1' }, status: { conditions: [{ type: 'Ready', status: ready }] } });

describe('a snapshot that a node takes', () => {
  it.each([
    ['unheard of', undefined],
    ['lost', aNode('Unknown')],
  ])('is not given up because this process still has the node as %s', async (_title, copy) => {
    const informers = { of: (kind: KindDefinition) => ({ get: () => ((kind as unknown) === nodes ? copy : snapshot), index: () => () => [] }) };
    const written: unknown[] = [];
    const objects = {
      get: async (kind: KindDefinition) => ((kind as unknown) === nodes ? aNode('True') : undefined),
      replaceStatus: async (_kind: KindDefinition, object: unknown) => {
        written.push(object);
        return object;
      },
    };
    const reconciler = new SnapshotReconciler(objects as never, informers as never, { record: () => undefined } as never, {} as never, { add: () => undefined } as never);
    await expect(reconciler.reconcile({ namespace: 'default', name: 's' }, new AbortController().signal)).resolves.toMatchObject({ type: 'RequeueAfter' });
    expect(written).toEqual([]);
  });
});
