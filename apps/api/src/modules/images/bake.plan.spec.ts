import fc from 'fast-check';
import { VirtualMachineImageSpec, type Condition, type Node, type ObjectMeta, type VirtualMachine, type VirtualMachineImage, type VirtualMachineSnapshot } from '@corral/contracts';
import { BAKE_DEADLINE_MS, planBake, type BakeObservation, type BakePlan } from './bake.plan.ts';

const T0 = Date.parse('2026-01-01T00:00:00Z');
const time = (ms: number): string => new Date(T0 + ms).toISOString();
const meta = (name: string, more: Partial<ObjectMeta> = {}): ObjectMeta => ({ name, uid: `uid-${name}`, resourceVersion: '1', generation: 1, creationTimestamp: time(0), ...more });
const ready = (status: Condition['status'], reason = 'Any', message = ''): Condition => ({ type: 'Ready', status, reason, message, lastTransitionTime: time(0), observedGeneration: 1 });

const anImage = (with_: { spec?: object; status?: object; metadata?: Partial<ObjectMeta> } = {}): VirtualMachineImage => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineImage', metadata: meta('linux', with_.metadata),
  spec: VirtualMachineImageSpec.parse({ kernel: { url: 'https://a/b' }, guestAgent: true, ...with_.spec }),
  status: { conditions: [ready('True')], digest: 'd1', ...with_.status },
});
const aNode = (name: string, v86Build: string, status: Condition['status'] = 'True'): Node => ({
  apiVersion: 'v1', kind: 'Node', metadata: meta(name), status: { conditions: [ready(status)], corral: { dataPlaneUrl: '', v86Build, memoryMode: 'Copy' } },
});
const aMachine = (name: string, status: VirtualMachine['status'] = {}, metadata: Partial<ObjectMeta> = {}): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: meta(name, metadata), ...(status ? { status } : {}),
});
const aSnapshot = (name: string, status: VirtualMachineSnapshot['status'] = {}, metadata: Partial<ObjectMeta> = {}): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot', metadata: meta(name, metadata), ...(status ? { status } : {}),
});
const taken = { conditions: [ready('True', 'Verified')], digest: 'm', manifestKey: 'k', sizeBytes: 5, completedAt: time(0) };

const plan = (with_: Partial<BakeObservation> = {}): BakePlan | undefined =>
  planBake({ image: anImage(), nodes: [aNode('n1', 'b1')], machines: [], snapshots: [], settleMs: 0, now: new Date(T0), ...with_ });
const steps = (with_: Partial<BakeObservation> = {}) => plan(with_)?.steps;
/** The name of the one bake that an image wants. */
const nameFor = (with_: Partial<BakeObservation> = {}): string => plan(with_)?.missing[0]?.name ?? '';
const name = nameFor();

describe('planBake', () => {
  it('begins by booting a machine', () => {
    expect(steps()).toEqual([{ type: 'CreateMachine', bake: { name, memoryMiB: 128, v86Build: 'b1' } }]);
  });

  it.each<[string, Partial<BakeObservation>, object[]]>([
    ['waits while the machine boots', { machines: [aMachine(name)], now: new Date(T0 + 1000) }, [{ type: 'Wait', delayMs: BAKE_DEADLINE_MS - 1000 }]],
    ['takes the snapshot once the guest agent answered', { machines: [aMachine(name, { conditions: [ready('True', 'AgentAnswered')] })] }, [{ type: 'TakeSnapshot', machine: name }]],
    ['lets the guest finish its start-up first', { settleMs: 12_000, now: new Date(T0 + 2000), machines: [aMachine(name, { conditions: [ready('True', 'AgentAnswered')] })] }, [{ type: 'Wait', delayMs: 10_000 }]],
    ['takes the snapshot as soon as the guest rests', { settleMs: 12_000, now: new Date(T0 + 2000), machines: [aMachine(name, { conditions: [ready('True', 'AgentAnswered')], idleSince: time(0) })] }, [{ type: 'TakeSnapshot', machine: name }]],
    ['takes the snapshot of one that never rests when that time is over', { settleMs: 12_000, now: new Date(T0 + 12_000), machines: [aMachine(name, { conditions: [ready('True', 'AgentAnswered')] })] }, [{ type: 'TakeSnapshot', machine: name }]],
    ['waits while the snapshot is taken', { machines: [aMachine(name, { conditions: [ready('True')] })], snapshots: [aSnapshot(name, { conditions: [ready('False', 'Taking')] })] }, []],
    ['lets the machine go once the snapshot is there', { machines: [aMachine(name)], snapshots: [aSnapshot(name, taken)] }, [{ type: 'DeleteMachine', name }]],
    ['rests when everything is there', { snapshots: [aSnapshot(name, taken)] }, []],
    ['fails a boot that never ends, once', { machines: [aMachine(name)], now: new Date(T0 + BAKE_DEADLINE_MS) }, [{ type: 'Fail', attempt: `uid-${name}` }]],
    ['fails a machine that ended', { machines: [aMachine(name, { lastTermination: { reason: 'GuestPanicked', message: 'x', incarnation: 1, finishedAt: time(0) } })] }, [{ type: 'Fail', message: 'The machine ended: GuestPanicked: x' }]],
    ['fails with the snapshot', { machines: [aMachine(name)], snapshots: [aSnapshot(name, { conditions: [ready('False', 'StorageFull', 'no room')], completedAt: time(0) })] }, [{ type: 'Fail', message: 'The snapshot failed: StorageFull: no room' }]],
    ['lets what failed go before it tries again', { machines: [aMachine(name, {}, { deletionTimestamp: time(0) })] }, []],
    ['lets a failed snapshot go before it tries again', { snapshots: [aSnapshot(name, {}, { deletionTimestamp: time(0) })] }, []],
    ['does not boot where no node is ready', { nodes: [aNode('n1', 'b1', 'Unknown')] }, []],
    ['removes what was baked for another build', { snapshots: [aSnapshot('golden-old', taken), aSnapshot(name, taken)], machines: [aMachine('golden-older')] }, [{ type: 'DeleteMachine', name: 'golden-older' }, { type: 'DeleteSnapshot', name: 'golden-old' }]],
    ['removes everything of an image that is deleted', { image: anImage({ metadata: { deletionTimestamp: time(0) } }), snapshots: [aSnapshot(name, taken)], machines: [aMachine(name)] }, [{ type: 'DeleteMachine', name }, { type: 'DeleteSnapshot', name }]],
    ['removes everything of an image that lost its agent', { image: anImage({ spec: { guestAgent: false } }), snapshots: [aSnapshot(name, taken)] }, [{ type: 'DeleteSnapshot', name }]],
  ])('%s', (_what, observation, expected) => {
    expect(steps(observation)).toEqual(expected.map((step) => expect.objectContaining(step) as unknown));
  });

  it('tells why a machine was never placed', () => {
    const machine = aMachine(name, { conditions: [{ type: 'Scheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes: 1 cordoned', lastTransitionTime: time(0) }] });
    expect(steps({ machines: [machine], now: new Date(T0 + BAKE_DEADLINE_MS) })).toEqual([expect.objectContaining({ message: expect.stringContaining('0/1 nodes: 1 cordoned') })]);
  });

  it.each<[string, Partial<BakeObservation>]>([
    ['the image is not Ready', { image: anImage({ status: { conditions: [ready('False')] } }) }],
    ['the image is Ready only for an older spec', { image: anImage({ metadata: { generation: 2 } }) }],
    ['no node has registered', { nodes: [] }],
  ])('leaves everything as it is while %s', (_what, observation) => {
    expect(plan({ snapshots: [aSnapshot(name, taken)], ...observation })).toBeUndefined();
  });

  it('bakes one for each build among the nodes, and lists what is there', () => {
    const nodes = [aNode('n1', 'b1'), aNode('n2', 'b2'), aNode('n3', 'b1')];
    const result = plan({ nodes, snapshots: [aSnapshot(name, taken)] });
    expect(result?.golden).toEqual([{ memoryMiB: 128, v86Build: 'b1', digest: 'm', manifestKey: 'k', sizeBytes: 5 }]);
    expect(result?.missing.map(({ v86Build }) => v86Build)).toEqual(['b2']);
  });

  it('never takes one golden snapshot for another: whatever it was made from is in the name', () => {
    const names = [
      name,
      nameFor({ nodes: [aNode('n1', 'b2')] }),
      nameFor({ image: anImage({ spec: { memory: '256Mi' } }) }),
      nameFor({ image: anImage({ status: { digest: 'd2' } }) }),
      nameFor({ image: anImage({ metadata: { uid: 'another image of that name' } }) }),
    ];
    expect(new Set(names).size).toBe(names.length);
    for (const each of names) expect(each).toMatch(/^golden-[0-9a-f]{24}$/);
  });

  it('comes to rest with every golden snapshot, from any state that earlier steps may have left', () => {
    const machineStates = fc.constantFrom<VirtualMachine['status'] | null>(null, {}, { conditions: [ready('True')] }, { lastTermination: { reason: 'ProcessExited', message: '', incarnation: 1, finishedAt: time(0) } });
    const snapshotStates = fc.constantFrom<VirtualMachineSnapshot['status'] | null>(null, {}, { conditions: [ready('False', 'Taking')] }, { conditions: [ready('False')], completedAt: time(0) }, taken);
    const names = fc.constantFrom(name, 'golden-stale');
    fc.assert(
      fc.property(fc.dictionary(names, machineStates), fc.dictionary(names, snapshotStates), (startMachines, startSnapshots) => {
        const machines = new Map(Object.entries(startMachines).filter((entry): entry is [string, NonNullable<VirtualMachine['status']>] => entry[1] !== null));
        const snapshots = new Map(Object.entries(startSnapshots).filter((entry): entry is [string, NonNullable<VirtualMachineSnapshot['status']>] => entry[1] !== null));
        for (let round = 0; round < 12; round += 1) {
          const observed = plan({ machines: [...machines].map(([key, status]) => aMachine(key, status)), snapshots: [...snapshots].map(([key, status]) => aSnapshot(key, status)) });
          for (const step of observed?.steps ?? []) {
            if (step.type === 'CreateMachine') machines.set(step.bake.name, {});
            else if (step.type === 'TakeSnapshot') snapshots.set(step.bake.name, {});
            else if (step.type === 'DeleteMachine') machines.delete(step.name);
            else if (step.type === 'DeleteSnapshot') snapshots.delete(step.name);
            else if (step.type === 'Fail') {
              machines.delete(step.bake.name);
              snapshots.delete(step.bake.name);
            }
          }
          // The node does its part: machines come up, snapshots are taken.
          for (const [key, status] of machines) if (!status.lastTermination) machines.set(key, { conditions: [ready('True')] });
          for (const [key, status] of snapshots) if (status.completedAt === undefined && machines.has(key)) snapshots.set(key, taken);
          for (const [key, status] of snapshots) if (status.completedAt === undefined && !machines.has(key)) snapshots.set(key, { conditions: [ready('False', 'NodeRestarted')], completedAt: time(0) });
        }
        expect([...machines.keys()]).toEqual([]);
        expect([...snapshots]).toEqual([[name, taken]]);
      }),
    );
  });
});
