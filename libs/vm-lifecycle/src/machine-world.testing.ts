import type { VirtualMachine, VirtualMachineSpec, VirtualMachineStatus, VmTermination } from '@corral/contracts';
import fc from 'fast-check';
import { MACHINE_FINALIZER, STOP_GRACE_MS } from './machine-plan.ts';
import { ABSENT, isLive, type MachineState, type Run } from './machine-state.ts';
import type { World } from './restart.ts';

/** For tests: machines, what became of them, and all that a node may see at one moment. */
export const T0 = new Date('2026-01-01T00:00:00Z');
export const later = (ms: number): Date => new Date(T0.getTime() + ms);

export interface Wish {
  readonly powerState?: VirtualMachineSpec['powerState'];
  readonly restartPolicy?: VirtualMachineSpec['restartPolicy'];
  readonly deleted?: boolean;
  readonly claimed?: boolean;
  readonly status?: VirtualMachineStatus;
}

export function aVm({
  powerState = 'Running',
  restartPolicy = 'Always',
  deleted = false,
  claimed = true,
  status,
}: Wish = {}): VirtualMachine {
  return {
    apiVersion: 'corral.dev/v1',
    kind: 'VirtualMachine',
    metadata: {
      name: 'demo',
      namespace: 'default',
      uid: 'u',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(claimed ? { finalizers: [MACHINE_FINALIZER] } : {}),
      ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: {
      source: { image: 'linux-minimal' },
      powerState,
      restartPolicy,
      bootPolicy: 'Golden',
      nodeSelector: {},
      nodeName: 'worker-1',
    },
    ...(status ? { status } : {}),
  };
}

export const aRun = (incarnation = 1, guestAgent = true): Run => ({
  incarnation,
  startedAt: T0,
  startedFrom: { type: 'Boot', name: 'linux-minimal' },
  memoryMiB: 128,
  v86Build: 'b',
  imageParts: { artifacts: {}, commandLine: '', guestAgent, acpi: false },
});
export const waiting = (type: Run['startedFrom']['type']): MachineState => ({
  phase: 'Running',
  run: { ...aRun(), startedFrom: { type, name: 'linux-minimal' } },
  guest: { agent: 'Waiting' },
});
export const anEnd = (reason: VmTermination['reason'], incarnation = 1): VmTermination => ({
  reason,
  message: 'why',
  incarnation,
  finishedAt: '2026-01-01T00:00:00Z',
});

export function aWorld(change: Partial<World> = {}): World {
  return {
    nodeName: 'worker-1',
    vm: aVm(),
    machine: ABSENT,
    suspended: false,
    diskWritten: false,
    failures: 0,
    nodeStopping: false,
    now: T0,
    ...change,
  };
}

export const anyEnd = fc.constantFrom<VmTermination['reason']>(
  'Stopped',
  'GuestPoweredOff',
  'GuestPanicked',
  'ProcessExited',
  'EmulatorFailed',
  'StartFailed',
  'NodeStopped',
);

export const anyMachine = (incarnation: number): fc.Arbitrary<MachineState> => {
  const run = aRun(incarnation);
  return fc.constantFrom<MachineState>(
    ABSENT,
    { phase: 'Preparing', since: T0 },
    { phase: 'Unprepared', reason: 'StorageUnreachable', message: '', permanent: false, retryAt: later(2_000) },
    ...(incarnation === 0
      ? []
      : ([
          { phase: 'Starting', run, since: T0 },
          { phase: 'Running', run, guest: { agent: 'Waiting' } },
          { phase: 'Running', run, guest: { agent: 'Answered', startMilliseconds: 3 } },
          { phase: 'Running', run, guest: { agent: 'Silent' } },
          { phase: 'Paused', run, guest: { agent: 'Answered' } },
          { phase: 'Panicked', run, message: 'Oops', at: T0 },
          { phase: 'Stopping', run, since: T0, graceMs: 0 },
          { phase: 'Stopping', run, since: T0, graceMs: STOP_GRACE_MS },
          { phase: 'Ended', termination: anEnd('ProcessExited', incarnation) },
          { phase: 'Ended', termination: anEnd('GuestPoweredOff', incarnation) },
        ] satisfies MachineState[])),
  );
};

export const anyWorld: fc.Arbitrary<World> = fc.constantFrom(0, 1, 7).chain((incarnation) =>
  fc
    .record({
      powerState: fc.constantFrom('Running' as const, 'Paused' as const, 'Stopped' as const),
      restartPolicy: fc.constantFrom('Always' as const, 'OnFailure' as const, 'Never' as const),
      deleted: fc.boolean(),
      claimed: fc.boolean(),
      machine: anyMachine(incarnation),
      suspended: fc.boolean(),
      diskWritten: fc.boolean(),
      failures: fc.constantFrom(0, 1, 4, 40),
      reason: fc.option(anyEnd, { nil: undefined }),
      gone: fc.boolean(),
    })
    .map(({ machine, suspended, diskWritten, failures, reason, gone, ...wish }) => {
      const lastTermination =
        reason && incarnation > 0 && !isLive(machine) ? { lastTermination: anEnd(reason, incarnation) } : {};
      const status: VirtualMachineStatus = incarnation === 0 ? {} : { incarnation, ...lastTermination };
      return aWorld({
        vm: gone ? undefined : aVm({ ...wish, status }),
        machine,
        suspended: suspended && !isLive(machine),
        diskWritten,
        failures,
      });
    }),
);
