import { InputRequest } from '@corral/contracts';
import fc from 'fast-check';
import { bodyOf, enqueue, inputOfKey, splitText, toScreen, type ScreenInput } from './screen-input.ts';

const press = (
  key: string,
  code: string,
  held: Partial<Record<'ctrlKey' | 'altKey' | 'metaKey' | 'shiftKey', boolean>> = {},
) => inputOfKey({ key, code, ctrlKey: false, altKey: false, metaKey: false, shiftKey: false, ...held });

describe('keys of a screen', () => {
  it.each([
    ['a letter is text, as the reader’s layout has it', press('z', 'KeyY'), { type: 'text', text: 'z' }],
    ['a shifted letter is the character it makes', press('A', 'KeyA', { shiftKey: true }), { type: 'text', text: 'A' }],
    ['Enter is a key', press('Enter', 'Enter'), { type: 'keys', codes: ['Enter'] }],
    ['Ctrl C is a chord', press('c', 'KeyC', { ctrlKey: true }), { type: 'keys', codes: ['ControlLeft', 'KeyC'] }],
    [
      'Ctrl Alt Delete has every part',
      press('Delete', 'Delete', { ctrlKey: true, altKey: true }),
      { type: 'keys', codes: ['ControlLeft', 'AltLeft', 'Delete'] },
    ],
    [
      'Shift Tab keeps its shift',
      press('Tab', 'Tab', { shiftKey: true }),
      { type: 'keys', codes: ['ShiftLeft', 'Tab'] },
    ],
    ['a character no PC keyboard has goes as its key', press('ä', 'Quote'), { type: 'keys', codes: ['Quote'] }],
    ['a modifier alone says nothing', press('Control', 'ControlLeft', { ctrlKey: true }), undefined],
  ])('%s', (_title, input, expected) => {
    expect(input).toEqual(expected);
  });
});

describe('input that waits', () => {
  const input: fc.Arbitrary<ScreenInput> = fc.oneof(
    fc.record({ type: fc.constant('text' as const), text: fc.string({ minLength: 1, maxLength: 2000 }) }),
    fc.record({ type: fc.constant('keys' as const), codes: fc.constant(['Enter']) }),
    fc.record({
      type: fc.constant('mouse' as const),
      x: fc.nat(1000),
      y: fc.nat(1000),
      action: fc.constantFrom('move' as const, 'down' as const, 'up' as const),
    }),
  );

  it('loses no character, key or button, and keeps their order', () => {
    const essence = (inputs: readonly ScreenInput[]): string =>
      inputs
        .filter((one) => one.type !== 'mouse' || one.action !== 'move')
        .map((one) => (one.type === 'text' ? one.text : one.type === 'keys' ? '\u0001' : `\u0002${one.action}`))
        .join('');
    fc.assert(
      fc.property(fc.array(input), (inputs) => {
        const waiting = inputs.reduce<readonly ScreenInput[]>(enqueue, []);
        expect(essence(waiting)).toBe(essence(inputs));
        const last = inputs.at(-1);
        if (last?.type === 'mouse') expect(waiting.at(-1)).toMatchObject({ x: last.x, y: last.y });
      }),
    );
  });

  it('is always what the API takes', () => {
    fc.assert(
      fc.property(fc.array(input), (inputs) => {
        for (const one of inputs.reduce<readonly ScreenInput[]>(enqueue, []))
          expect(InputRequest.safeParse(bodyOf(one)).success).toBe(true);
      }),
    );
  });

  it('splits a paste into pieces the API takes and nothing else', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 20_000 }), (text) => {
        const pieces = splitText(text);
        expect(pieces.map((piece) => (piece.type === 'text' ? piece.text : '')).join('')).toBe(text);
        expect(pieces.every((piece) => InputRequest.safeParse(bodyOf(piece)).success)).toBe(true);
      }),
    );
  });
});

describe('toScreen', () => {
  it('stays on the screen and scales with the picture', () => {
    const drawn = { left: 100, top: 50, width: 1280, height: 800 };
    expect(toScreen({ x: 100, y: 50 }, drawn, { width: 640, height: 400 })).toEqual({ x: 0, y: 0 });
    expect(toScreen({ x: 740, y: 450 }, drawn, { width: 640, height: 400 })).toEqual({ x: 320, y: 200 });
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (x, y) => {
        const at = toScreen({ x, y }, drawn, { width: 640, height: 400 });
        return at.x >= 0 && at.x < 640 && at.y >= 0 && at.y < 400;
      }),
    );
  });
});
