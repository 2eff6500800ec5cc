import { type Event, type KubeObject, type ObjectClient, Problem, type ProblemCode } from '@corral/contracts';
import { EventRecorder } from './event-recorder.ts';

const aVm = (name = 'demo'): KubeObject => ({
  apiVersion: 'corral.dev/v1',
  kind: 'VirtualMachine',
  metadata: {
    name,
    namespace: 'default',
    uid: `uid-of-${name}`,
    resourceVersion: '5',
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
});

/** The three calls a recorder makes, over a map. */
function anApi(): {
  readonly client: ObjectClient;
  readonly events: Map<string, Event>;
  refuse: ProblemCode | undefined;
  calls: number;
} {
  const api = {
    events: new Map<string, Event>(),
    refuse: undefined as ProblemCode | undefined,
    calls: 0,
    client: {
      get: async (_kind: unknown, _namespace: unknown, name: string) => api.events.get(name),
      create: async (_kind: unknown, event: Event) => put(event),
      replace: async (_kind: unknown, event: Event) => put(event),
    } as unknown as ObjectClient,
  };
  const put = (event: Event): Event => {
    api.calls += 1;
    if (api.refuse) throw new Problem(api.refuse, 'refused');
    api.events.set(event.metadata.name, event);
    return event;
  };
  return api;
}

function aRecorder(api = anApi()): {
  readonly api: ReturnType<typeof anApi>;
  readonly recorder: EventRecorder;
  readonly failures: unknown[];
  at: string;
} {
  const rig = {
    api,
    at: '2026-01-01T00:00:00Z',
    failures: [] as unknown[],
    recorder: undefined as unknown as EventRecorder,
  };
  rig.recorder = new EventRecorder({
    client: api.client,
    component: 'corral-worker',
    host: 'worker-1',
    clock: { now: () => new Date(rig.at) },
    onFailure: (error) => rig.failures.push(error),
  });
  return rig;
}

describe('EventRecorder', () => {
  it('says whom it happened to, what, when, and who reports', async () => {
    const { api, recorder } = aRecorder();
    recorder.record(aVm(), 'Warning', 'GuestPanicked', 'Kernel panic');
    await recorder.flushed();
    expect([...api.events.values()]).toMatchObject([
      {
        metadata: { namespace: 'default', name: expect.stringMatching(/^demo\.[0-9a-f]{16}$/) },
        involvedObject: {
          apiVersion: 'corral.dev/v1',
          kind: 'VirtualMachine',
          namespace: 'default',
          name: 'demo',
          uid: 'uid-of-demo',
          resourceVersion: '5',
        },
        type: 'Warning',
        reason: 'GuestPanicked',
        message: 'Kernel panic',
        source: { component: 'corral-worker', host: 'worker-1' },
        firstTimestamp: '2026-01-01T00:00:00Z',
        lastTimestamp: '2026-01-01T00:00:00Z',
        count: 1,
      },
    ]);
  });

  it('counts what is said again, and keeps apart what differs', async () => {
    const rig = aRecorder();
    for (const at of ['2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z', '2026-01-01T00:02:00Z']) {
      rig.at = at;
      rig.recorder.record(aVm(), 'Normal', 'Started', 'once more');
    }
    rig.recorder.record(aVm(), 'Normal', 'Started', 'otherwise');
    rig.recorder.record(aVm('other'), 'Normal', 'Started', 'once more');
    await rig.recorder.flushed();
    const told = [...rig.api.events.values()].map(
      ({ involvedObject, message, count, firstTimestamp, lastTimestamp }) => [
        involvedObject.name,
        message,
        count,
        firstTimestamp,
        lastTimestamp,
      ],
    );
    expect(told).toEqual([
      ['demo', 'once more', 3, '2026-01-01T00:00:00Z', '2026-01-01T00:02:00Z'],
      ['demo', 'otherwise', 1, '2026-01-01T00:02:00Z', '2026-01-01T00:02:00Z'],
      ['other', 'once more', 1, '2026-01-01T00:02:00Z', '2026-01-01T00:02:00Z'],
    ]);
  });

  it('makes one event of what is said in ever other words, and tells them apart again after a while', async () => {
    const rig = aRecorder();
    for (let index = 1; index <= 30; index += 1) rig.recorder.record(aVm(), 'Warning', 'FailedScheduling', `0/${index} nodes`);
    rig.recorder.record(aVm(), 'Warning', 'FailedScheduling', '0/1 nodes');
    rig.recorder.record(aVm('other'), 'Warning', 'FailedScheduling', '0/30 nodes');
    await rig.recorder.flushed();
    const told = () => [...rig.api.events.values()].map(({ involvedObject, message, count }) => [involvedObject.name, message, count]);
    expect(told()).toHaveLength(12);
    expect(told()).toContainEqual(['demo', '0/1 nodes', 2]);
    expect(told()).toContainEqual(['demo', '(combined from similar events): 0/30 nodes', 20]);
    expect(told()).toContainEqual(['other', '0/30 nodes', 1]);
    rig.at = '2026-01-01T00:10:00Z';
    rig.recorder.record(aVm(), 'Warning', 'FailedScheduling', '0/31 nodes');
    await rig.recorder.flushed();
    expect(told()).toContainEqual(['demo', '0/31 nodes', 1]);
  });

  it('puts events of objects without a namespace into default', async () => {
    const { api, recorder } = aRecorder();
    const { namespace: _, ...metadata } = aVm().metadata;
    recorder.record({ apiVersion: 'v1', kind: 'Node', metadata }, 'Normal', 'Registered', '');
    await recorder.flushed();
    const [event] = [...api.events.values()];
    expect([event?.metadata.namespace, event?.involvedObject.namespace]).toEqual(['default', undefined]);
  });

  it('never throws: an API that is away costs the event, and the next is written', async () => {
    const { api, recorder, failures } = aRecorder();
    api.refuse = 'dependency.unavailable';
    recorder.record(aVm(), 'Normal', 'Started', '');
    await recorder.flushed();
    api.refuse = undefined;
    recorder.record(aVm(), 'Normal', 'Stopped', '');
    await recorder.flushed();
    expect([failures.length, [...api.events.values()].map(({ reason }) => reason)]).toEqual([1, ['Stopped']]);
  });

  it('lets another writer win', async () => {
    const { api, recorder, failures } = aRecorder();
    api.refuse = 'object.conflict';
    recorder.record(aVm(), 'Normal', 'Started', '');
    await recorder.flushed();
    expect(failures).toEqual([]);
  });

  it('drops what is too much, and cuts what is too long', async () => {
    const { api, recorder } = aRecorder();
    for (let index = 0; index < 5_000; index++)
      recorder.record(aVm(), 'Normal', 'Flood', `${index} ${'x'.repeat(5_000)}`);
    await recorder.flushed();
    expect(api.calls).toBeLessThanOrEqual(1_001);
    expect(Math.max(...[...api.events.values()].map(({ message = '' }) => message.length))).toBe(1_024);
  });
});
