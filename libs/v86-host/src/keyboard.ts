import { setTimeout as delay } from 'node:timers/promises';
import type { V86Emulator } from './v86.internals.ts';

/** Set-1 scan codes by KeyboardEvent.code; those above 0xff are sent as 0xe0 and the low byte. Source: UI Events, "code" values. */
const SCAN_CODES: Readonly<Record<string, number>> = {
  ...row(0x02, ['Digit1', 'Digit2', 'Digit3', 'Digit4', 'Digit5', 'Digit6', 'Digit7', 'Digit8', 'Digit9', 'Digit0', 'Minus', 'Equal', 'Backspace', 'Tab']),
  ...row(0x10, ['KeyQ', 'KeyW', 'KeyE', 'KeyR', 'KeyT', 'KeyY', 'KeyU', 'KeyI', 'KeyO', 'KeyP', 'BracketLeft', 'BracketRight', 'Enter', 'ControlLeft']),
  ...row(0x1e, ['KeyA', 'KeyS', 'KeyD', 'KeyF', 'KeyG', 'KeyH', 'KeyJ', 'KeyK', 'KeyL', 'Semicolon', 'Quote', 'Backquote', 'ShiftLeft', 'Backslash']),
  ...row(0x2c, ['KeyZ', 'KeyX', 'KeyC', 'KeyV', 'KeyB', 'KeyN', 'KeyM', 'Comma', 'Period', 'Slash', 'ShiftRight', 'NumpadMultiply', 'AltLeft', 'Space', 'CapsLock']),
  ...row(0x3b, ['F1', 'F2', 'F3', 'F4', 'F5', 'F6', 'F7', 'F8', 'F9', 'F10', 'NumLock', 'ScrollLock']),
  ...row(0x47, ['Numpad7', 'Numpad8', 'Numpad9', 'NumpadSubtract', 'Numpad4', 'Numpad5', 'Numpad6', 'NumpadAdd', 'Numpad1', 'Numpad2', 'Numpad3', 'Numpad0', 'NumpadDecimal']),
  Escape: 0x01, IntlBackslash: 0x56, F11: 0x57, F12: 0x58,
  NumpadEnter: 0xe01c, ControlRight: 0xe01d, NumpadDivide: 0xe035, PrintScreen: 0xe037, AltRight: 0xe038, Home: 0xe047, ArrowUp: 0xe048,
  PageUp: 0xe049, ArrowLeft: 0xe04b, ArrowRight: 0xe04d, End: 0xe04f, ArrowDown: 0xe050, PageDown: 0xe051, Insert: 0xe052, Delete: 0xe053,
  MetaLeft: 0xe05b, MetaRight: 0xe05c, ContextMenu: 0xe05d,
};

const PLAIN = "`1234567890-=[]\\;',./";
const SHIFTED = '~!@#$%^&*()_+{}|:"<>?';
const PLAIN_CODES = [
  'Backquote', 'Digit1', 'Digit2', 'Digit3', 'Digit4', 'Digit5', 'Digit6', 'Digit7', 'Digit8', 'Digit9', 'Digit0', 'Minus', 'Equal',
  'BracketLeft', 'BracketRight', 'Backslash', 'Semicolon', 'Quote', 'Comma', 'Period', 'Slash',
];
const RELEASED = 0x80;
/** Guests lose keys typed faster than this. */
const KEY_PAUSE_MS = 30;

export interface Keystroke {
  readonly code: string;
  readonly shift: boolean;
}

/** How a US keyboard types a character; undefined for one it does not have. */
export function keystrokeOf(character: string): Keystroke | undefined {
  if (/^[a-z]$/.test(character)) return { code: `Key${character.toUpperCase()}`, shift: false };
  if (/^[A-Z]$/.test(character)) return { code: `Key${character}`, shift: true };
  const named = { ' ': 'Space', '\n': 'Enter', '\r': 'Enter', '\t': 'Tab', '\b': 'Backspace', '\x1b': 'Escape' }[character];
  if (named) return { code: named, shift: false };
  const plain = PLAIN.indexOf(character);
  const at = plain === -1 ? SHIFTED.indexOf(character) : plain;
  const code = character.length === 1 ? PLAIN_CODES[at] : undefined;
  return code === undefined ? undefined : { code, shift: plain === -1 };
}

export function isKeyCode(code: string): boolean {
  return Object.hasOwn(SCAN_CODES, code);
}

/** The guest's PS/2 keyboard. Key combinations and texts are typed one after the other, in the order of the calls. */
export class Keyboard {
  readonly #emulator: V86Emulator;
  #typing: Promise<void> = Promise.resolve();

  constructor(emulator: V86Emulator) {
    this.#emulator = emulator;
  }

  /** Presses the keys in order and releases them in reverse. */
  press(codes: readonly string[]): Promise<void> {
    return this.#afterOthers(() => this.#stroke(codes));
  }

  /** Types characters as a US keyboard would; check them with keystrokeOf first. */
  type(text: string): Promise<void> {
    return this.#afterOthers(async () => {
      for (const character of text.replaceAll('\r\n', '\n')) {
        const keystroke = keystrokeOf(character);
        if (keystroke) await this.#stroke([...(keystroke.shift ? ['ShiftLeft'] : []), keystroke.code]);
      }
    });
  }

  #afterOthers(type: () => Promise<void>): Promise<void> {
    this.#typing = this.#typing.then(type);
    return this.#typing;
  }

  async #stroke(codes: readonly string[]): Promise<void> {
    for (const code of codes) this.#send(code, 0);
    for (const code of codes.toReversed()) this.#send(code, RELEASED);
    await delay(KEY_PAUSE_MS);
  }

  #send(code: string, released: number): void {
    const scanCode = SCAN_CODES[code];
    if (scanCode === undefined) return;
    if (scanCode > 0xff) this.#emulator.bus.send('keyboard-code', scanCode >> 8);
    this.#emulator.bus.send('keyboard-code', (scanCode & 0xff) | released);
  }
}

function row(first: number, codes: readonly string[]): Record<string, number> {
  return Object.fromEntries(codes.map((code, position) => [code, first + position]));
}
