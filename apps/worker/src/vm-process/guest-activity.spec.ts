import { type ActivityEvent, GuestActivity, IDLE_AFTER_MS, RESTING_INSTRUCTIONS_PER_SECOND } from './guest-activity.ts';

function aGuest() {
  let nowMs = 1_000;
  let instructions = 0;
  const told: ActivityEvent[] = [];
  const activity = new GuestActivity((event) => told.push(event), () => nowMs);
  activity.look(instructions);
  /** Seconds in which the guest executes so many instructions each, looked at every five. */
  const pass = (seconds: number, perSecond = 0): void => {
    for (let passed = 0; passed < seconds; passed += 5) {
      nowMs += 5_000;
      instructions = (instructions + 5 * perSecond) >>> 0;
      activity.look(instructions);
    }
  };
  return { activity, told, pass, at: (counter: number) => void (instructions = counter) };
}

const IDLE = { type: 'Idle', forMs: IDLE_AFTER_MS };
const ACTIVE = { type: 'Active' };

describe('GuestActivity', () => {
  it.each<[string, (guest: ReturnType<typeof aGuest>) => void, readonly object[]]>([
    ['tells once of a guest that rests', ({ pass }) => pass(60), [IDLE]],
    ['not of a pause for breath', ({ pass }) => pass(5), []],
    ['not of one that works', ({ pass }) => pass(60, RESTING_INSTRUCTIONS_PER_SECOND * 2), []],
    ['of one that only ticks', ({ pass }) => pass(60, RESTING_INSTRUCTIONS_PER_SECOND / 2), [IDLE]],
    ['of work that begins', ({ pass }) => (pass(30), pass(5, RESTING_INSTRUCTIONS_PER_SECOND * 2)), [IDLE, ACTIVE]],
    ['at once of somebody who comes, and again of the rest after', ({ pass, activity }) => (pass(30), activity.touch(), pass(30)), [IDLE, ACTIVE, IDLE]],
    ['not while a command is under way, however quiet', ({ pass, activity }) => (activity.begin(), pass(300)), []],
    ['of the rest after a command', ({ pass, activity }) => { const end = activity.begin(); pass(60); end(); end(); pass(30); }, [IDLE]],
    ['not while one of two commands is under way', ({ pass, activity }) => { const end = activity.begin(); activity.begin(); end(); pass(60); }, []],
    ['of a guest whose counter of 32 bits has wrapped', ({ pass, at }) => (at(0xffffff00), pass(5, RESTING_INSTRUCTIONS_PER_SECOND * 900), pass(30, 100)), [IDLE]],
  ])('tells %s', (_what, happen, expected) => {
    const guest = aGuest();
    happen(guest);
    expect(guest.told).toEqual(expected);
  });

  it('is idle only while that was told and nobody has come since', () => {
    const { activity, pass } = aGuest();
    expect(activity.isIdle).toBe(false);
    pass(30);
    expect(activity.isIdle).toBe(true);
    activity.touch();
    expect(activity.isIdle).toBe(false);
  });
});
