import { isKeyCode, keystrokeOf } from './keyboard.ts';

it.each([
  ['a', 'KeyA', false],
  ['Z', 'KeyZ', true],
  ['7', 'Digit7', false],
  ['&', 'Digit7', true],
  ['_', 'Minus', true],
  ['\\', 'Backslash', false],
  ['"', 'Quote', true],
  ['~', 'Backquote', true],
  ['\n', 'Enter', false],
])('types %j with %s (shift: %s)', (character, code, shift) => {
  expect(keystrokeOf(character)).toEqual({ code, shift });
});

it('types every printable character of ASCII, with keys a PC keyboard has', () => {
  for (let code = 0x20; code < 0x7f; code += 1) {
    const keystroke = keystrokeOf(String.fromCharCode(code));
    expect(keystroke && isKeyCode(keystroke.code)).toBe(true);
  }
});

it('does not pretend to type what a US keyboard has not', () => {
  expect(['é', '€', '世', ''].map(keystrokeOf)).toEqual([undefined, undefined, undefined, undefined]);
  expect(isKeyCode('toString')).toBe(false);
});
