import { SWAP_LOST_EXIT_CODE, type VmTermination } from '@corral/contracts';
import { ABSENT, type MachineState } from './machine-state.ts';
import { ACCEPTED, IllegalTransition, transition } from './machine-transition.ts';
import { aRun, T0 } from './machine-world.testing.ts';

describe('transition', () => {
  it('refuses what the table leaves out', () => {
    expect(() => transition(ABSENT, { type: 'PauseCompleted' })).toThrow(IllegalTransition);
    expect(() =>
      transition({ phase: 'Panicked', run: aRun(), message: '', at: T0 }, { type: 'AgentAnswered', at: T0 }),
    ).toThrow(IllegalTransition);
  });

  it('accepts the end of a process in every phase that has one, and only there', () => {
    for (const [phase, events] of Object.entries(ACCEPTED)) {
      const live = ['Starting', 'Running', 'Paused', 'Panicked', 'Stopping', 'Suspending', 'Hibernating'].includes(phase);
      expect([phase, (events as readonly string[]).includes('Exited')]).toEqual([phase, live]);
    }
  });

  it.each<[string, MachineState, Parameters<typeof transition>[1], Partial<VmTermination>]>([
    [
      'a process that is killed',
      { phase: 'Running', run: aRun(), guest: { agent: 'Answered' } },
      { type: 'Exited', at: T0, signal: 'SIGKILL' },
      { reason: 'ProcessExited', signal: 'SIGKILL' },
    ],
    [
      'a page that could not be had again',
      { phase: 'Running', run: aRun(), guest: { agent: 'Answered' } },
      { type: 'Exited', at: T0, exitCode: SWAP_LOST_EXIT_CODE },
      { reason: 'SwapLost', exitCode: SWAP_LOST_EXIT_CODE },
    ],
    [
      'a guest that powers off',
      { phase: 'Running', run: aRun(), guest: { agent: 'Answered' } },
      { type: 'Exited', at: T0, exitCode: 0, ended: { reason: 'GuestPoweredOff', message: '' } },
      { reason: 'GuestPoweredOff', exitCode: 0 },
    ],
    [
      'a stop that was asked for',
      { phase: 'Stopping', run: aRun(), since: T0, graceMs: 1 },
      { type: 'Exited', at: T0, exitCode: 0, ended: { reason: 'GuestPoweredOff', message: '' } },
      { reason: 'Stopped' },
    ],
    [
      'a start that is refused',
      { phase: 'Starting', run: aRun(), since: T0 },
      { type: 'Exited', at: T0, failure: { reason: 'SnapshotCorrupt', message: 'page 3' } },
      { reason: 'StartFailed', message: 'SnapshotCorrupt: page 3' },
    ],
    [
      'a suspend',
      { phase: 'Suspending', run: aRun(), since: T0 },
      { type: 'Exited', at: T0, exitCode: 0 },
      { reason: 'NodeStopped' },
    ],
  ])('says why it ended: %s', (_what, machine, event, expected) => {
    const ended = transition(machine, event);
    expect(ended.phase === 'Ended' && ended.termination).toMatchObject(expected);
  });
});
