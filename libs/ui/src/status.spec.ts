import type { Condition, Node, VirtualMachine, VirtualMachineImage, VirtualMachineSnapshot } from '@corral/contracts';
import { displayStatus, imageStatus, nodeStatus, snapshotStatus } from './status.ts';

const NOW = new Date('2026-03-01T12:00:00Z');
const secondsAgo = (seconds: number): string => new Date(NOW.getTime() - seconds * 1000).toISOString();
const condition = (type: string, status: Condition['status'], reason: string, message = ''): Condition => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: secondsAgo(5),
});
const READY = condition('Ready', 'True', 'AgentAnswered');
const meta = {
  name: 'demo',
  namespace: 'default',
  uid: 'u1',
  resourceVersion: '9',
  generation: 2,
  creationTimestamp: secondsAgo(5),
};

function machine(
  spec: Partial<NonNullable<VirtualMachine['spec']>>,
  status: NonNullable<VirtualMachine['status']>,
  metadata: Partial<VirtualMachine['metadata']> = {},
): VirtualMachine {
  return {
    apiVersion: 'corral.dev/v1',
    kind: 'VirtualMachine',
    metadata: { ...meta, ...metadata },
    spec: {
      source: { image: 'linux-minimal' },
      powerState: 'Running',
      restartPolicy: 'Always',
      bootPolicy: 'Golden',
      nodeSelector: {},
      ...spec,
    },
    status: { incarnation: 1, observedGeneration: 2, ...status },
  };
}

function node(ready: Condition['status'], unschedulable = false): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { ...meta, name: 'worker-1' },
    spec: { unschedulable },
    status: { conditions: [{ ...condition('Ready', ready, 'Reported'), lastHeartbeatTime: secondsAgo(42) }] },
  };
}

describe('displayStatus', () => {
  const cases: readonly [title: string, vm: VirtualMachine, node: Node | undefined, expected: object][] = [
    [
      'a ready machine is Running, and only it gets the disc',
      machine({}, { phase: 'Running', conditions: [READY] }),
      node('True'),
      { says: 'Running', shape: 'Disc', needsAttention: false },
    ],
    [
      'deleting comes before a silent node',
      machine({}, { phase: 'Running', conditions: [READY] }, { deletionTimestamp: secondsAgo(1) }),
      node('Unknown'),
      { says: 'Terminating', shape: 'Arc' },
    ],
    [
      'a silent node makes even a failed machine unknown',
      machine({}, { phase: 'Failed' }),
      node('Unknown'),
      { says: 'Unknown', shape: 'Dashed', lastSeen: secondsAgo(42), needsAttention: true },
    ],
    [
      'a node that is not here to ask says nothing',
      machine({}, { phase: 'Running', conditions: [READY] }),
      undefined,
      { says: 'Running' },
    ],
    [
      'a panic is a failure, whatever the phase says',
      machine(
        {},
        {
          phase: 'Running',
          conditions: [READY, condition('GuestPanicked', 'True', 'GuestPanicked', 'cannot mount root')],
        },
      ),
      node('True'),
      { says: 'Failed', shape: 'Diamond', reason: 'GuestPanicked: cannot mount root' },
    ],
    [
      'Failed gives the reason of its end',
      machine(
        {},
        {
          phase: 'Failed',
          lastTermination: {
            reason: 'StartFailed',
            message: 'digest differs',
            incarnation: 1,
            finishedAt: secondsAgo(1),
          },
        },
      ),
      node('True'),
      { says: 'Failed', reason: 'StartFailed: digest differs' },
    ],
    [
      'a panic it was stopped after is over',
      machine(
        { powerState: 'Stopped' },
        { phase: 'Stopped', conditions: [condition('GuestPanicked', 'True', 'KernelPanic')] },
      ),
      node('True'),
      { says: 'Stopped' },
    ],
    [
      'a failure that is tried again says when',
      machine({}, { phase: 'Failed', nextStartTime: '2026-03-01T12:00:04Z' }),
      node('True'),
      { says: 'Failed', dueAt: '2026-03-01T12:00:04Z' },
    ],
    [
      'no room is Pending with the scheduler’s words',
      machine(
        {},
        { phase: 'Pending', conditions: [condition('Scheduled', 'False', 'Unschedulable', '0/5 nodes: 5 cordoned')] },
      ),
      undefined,
      { says: 'Pending', shape: 'Arc', reason: '0/5 nodes: 5 cordoned', needsAttention: false },
    ],
    [
      'no room for long needs a look',
      machine(
        {},
        { phase: 'Pending', conditions: [condition('Scheduled', 'False', 'Unschedulable')] },
        { creationTimestamp: secondsAgo(11) },
      ),
      undefined,
      { says: 'Pending', shape: 'Triangle', needsAttention: true },
    ],
    [
      'a new machine is Pending',
      { apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: meta },
      undefined,
      { says: 'Pending', shape: 'Arc' },
    ],
    [
      'starting says what it does',
      machine({}, { phase: 'Starting', conditions: [condition('Ready', 'False', 'Restoring')] }),
      node('True'),
      { says: 'Starting', shape: 'Arc', reason: 'Restoring' },
    ],
    [
      'a start past its deadline needs a look',
      machine({}, { phase: 'Starting', startedAt: secondsAgo(61) }),
      node('True'),
      { says: 'Starting', shape: 'Triangle', needsAttention: true },
    ],
    [
      'asked to pause and still running is Pausing',
      machine({ powerState: 'Paused' }, { phase: 'Running', conditions: [READY] }),
      node('True'),
      { says: 'Pausing', shape: 'Arc' },
    ],
    [
      'paused is two bars',
      machine({ powerState: 'Paused' }, { phase: 'Paused' }),
      node('True'),
      { says: 'Paused', shape: 'Bars' },
    ],
    [
      'asked to run and still paused is Resuming',
      machine({}, { phase: 'Paused' }),
      node('True'),
      { says: 'Resuming', shape: 'Arc' },
    ],
    [
      'asked to stop and still running is Stopping',
      machine({ powerState: 'Stopped' }, { phase: 'Running', conditions: [READY] }),
      node('True'),
      { says: 'Stopping', shape: 'Arc' },
    ],
    [
      'stopped is a hollow square',
      machine({ powerState: 'Stopped' }, { phase: 'Stopped' }),
      node('True'),
      { says: 'Stopped', shape: 'Square' },
    ],
    [
      'created stopped never started',
      machine({ powerState: 'Stopped' }, { phase: 'Pending', incarnation: 0 }),
      node('True'),
      { says: 'Stopped' },
    ],
    [
      'asked to start and not yet seen is Starting',
      machine({}, { phase: 'Stopped', observedGeneration: 1 }),
      node('True'),
      { says: 'Starting' },
    ],
    [
      'ended by itself and staying down is Stopped with the reason',
      machine(
        { restartPolicy: 'Never' },
        {
          phase: 'Stopped',
          lastTermination: { reason: 'GuestPoweredOff', message: '', incarnation: 1, finishedAt: secondsAgo(9) },
        },
      ),
      node('True'),
      { says: 'Stopped', reason: 'GuestPoweredOff' },
    ],
    [
      'backing off says when it is due',
      machine({}, { phase: 'Stopped', nextStartTime: '2026-03-01T12:00:04Z' }),
      node('True'),
      { says: 'Starting', dueAt: '2026-03-01T12:00:04Z' },
    ],
    [
      'running without an answer is Not ready, not a failure',
      machine({}, { phase: 'Running', conditions: [condition('Ready', 'False', 'AgentSilent')] }),
      node('True'),
      { says: 'NotReady', shape: 'Ring', reason: 'AgentSilent' },
    ],
    [
      'running with no condition at all is not called ready',
      machine({}, { phase: 'Running' }),
      node('True'),
      { says: 'NotReady' },
    ],
    [
      'hibernated is a crescent',
      machine({}, { phase: 'Hibernated' }),
      node('True'),
      { says: 'Hibernated', shape: 'Crescent' },
    ],
    [
      'hibernated is a crescent, on no node',
      machine({}, { phase: 'Hibernated', conditions: [{ type: 'Scheduled', status: 'False', reason: 'Hibernated', message: '', lastTransitionTime: '' }] }),
      node('True'),
      { says: 'Hibernated', shape: 'Crescent' },
    ],
  ];
  it.each(cases)('%s', (_title, vm, on, expected) => {
    expect(displayStatus(vm, on, NOW)).toMatchObject(expected);
  });
});

describe('nodeStatus', () => {
  it.each([
    ['ready', node('True'), 'Ready'],
    ['cordoned', node('True', true), 'Cordoned'],
    ['not ready even when cordoned', node('False', true), 'NotReady'],
    ['silent', node('Unknown'), 'Unknown'],
  ])('a node that is %s says so', (_title, of, says) => {
    expect(nodeStatus(of).says).toBe(says);
  });
});

describe('snapshotStatus', () => {
  const snapshot = (status: NonNullable<VirtualMachineSnapshot['status']>): VirtualMachineSnapshot => ({
    apiVersion: 'corral.dev/v1',
    kind: 'VirtualMachineSnapshot',
    metadata: meta,
    spec: { virtualMachine: 'demo' },
    status,
  });
  it.each([
    ['being taken', snapshot({}), 'Taking'],
    [
      'on its way to S3',
      snapshot({ totalBytes: 10, uploadedBytes: 4, conditions: [condition('Ready', 'False', 'Uploading')] }),
      'Uploading',
    ],
    ['verified', snapshot({ totalBytes: 10, conditions: [condition('Ready', 'True', 'Verified')] }), 'Verified'],
    [
      'given up',
      snapshot({ completedAt: secondsAgo(1), conditions: [condition('Ready', 'False', 'UploadIncomplete')] }),
      'Failed',
    ],
  ])('a snapshot %s says so', (_title, of, says) => {
    expect(snapshotStatus(of).says).toBe(says);
  });
});

describe('imageStatus', () => {
  const image = (guestAgent: boolean, ...conditions: Condition[]): VirtualMachineImage => ({
    apiVersion: 'corral.dev/v1',
    kind: 'VirtualMachineImage',
    metadata: meta,
    spec: { commandLine: '', memory: '128Mi', guestAgent, acpi: false },
    status: { conditions },
  });
  const fetched = condition('Fetched', 'True', 'Verified');
  it.each([
    ['new', image(true), 'Fetching'],
    ['with bytes that differ', image(true, condition('Fetched', 'False', 'DigestMismatch')), 'Failed'],
    [
      'booting for its golden snapshot',
      image(true, fetched, condition('Baked', 'False', 'Baking'), condition('Ready', 'True', 'Fetched')),
      'Baking',
    ],
    ['that cannot boot', image(true, fetched, condition('Baked', 'False', 'BakeFailed')), 'Failed'],
    [
      'without an agent, which has nothing to bake',
      image(false, fetched, condition('Ready', 'True', 'ArtifactsVerified')),
      'Ready',
    ],
    ['baked', image(true, fetched, condition('Baked', 'True', 'Baked'), condition('Ready', 'True', 'Baked')), 'Ready'],
  ])('an image %s says so', (_title, of, says) => {
    expect(imageStatus(of).says).toBe(says);
  });
});
