import { ReleaseChord } from './release-chord.ts';

/** Plays `+Control -Control` and so on; true when any of it gave the keyboard back. */
function play(script: string): boolean {
  const chord = new ReleaseChord();
  const held = new Set<string>();
  return script.split(' ').reduce((released, step) => {
    const key = step.slice(1);
    if (step.startsWith('+')) held.add(key);
    else held.delete(key);
    const event = { key, ctrlKey: held.has('Control'), altKey: held.has('Alt') };
    if (step.startsWith('+')) {
      chord.down(event);
      return released;
    }
    return chord.up(event) || released;
  }, false);
}

describe('the chord that gives the keyboard back', () => {
  it.each([
    ['+Control +Alt -Alt -Control', true],
    ['+Alt +Control -Alt -Control', true],
    ['+Control +Alt +Delete -Delete -Alt -Control', false],
    ['+Control -Control +Alt -Alt', false],
    ['+Control +c -c -Control', false],
    ['+Control +Alt +Shift -Shift -Alt -Control', false],
    ['+Control +Alt +F2 -Alt -F2 -Control', false],
  ])('%s: %s', (script, released) => {
    expect(play(script)).toBe(released);
  });
});
