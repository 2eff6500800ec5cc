import type { InputRequest } from '@corral/contracts';

/** What the guest's keyboard is told, without the parts the server fills in. */
export type ScreenInput =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'keys'; readonly codes: readonly string[] }
  | {
      readonly type: 'mouse';
      readonly x: number;
      readonly y: number;
      readonly action: 'move' | 'click' | 'down' | 'up';
      readonly button?: 'left' | 'middle' | 'right';
      readonly wheel?: number;
    };

const MAX_TEXT = 4096;
const MAX_WHEEL = 10;

export interface PressedKey {
  readonly key: string;
  readonly code: string;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
}

const MODIFIERS = new Set([
  'ControlLeft',
  'ControlRight',
  'AltLeft',
  'AltRight',
  'ShiftLeft',
  'ShiftRight',
  'MetaLeft',
  'MetaRight',
]);
const isModifier = (code: string): boolean => MODIFIERS.has(code);

/**
 * What a key press says to the guest. A character is sent as text, so that it arrives as the reader's own layout has
 * it; everything else, and every chord, as key codes. Undefined: nothing to send (a modifier by itself).
 */
export function inputOfKey({ key, code, ctrlKey, altKey, metaKey, shiftKey }: PressedKey): ScreenInput | undefined {
  if (code === '' || isModifier(code)) return undefined;
  const printable = [...key].length === 1 && key >= ' ' && key <= '~';
  if (printable && !ctrlKey && !altKey && !metaKey) return { type: 'text', text: key };
  const codes = [
    ...(ctrlKey ? ['ControlLeft'] : []),
    ...(altKey ? ['AltLeft'] : []),
    ...(metaKey ? ['MetaLeft'] : []),
    ...(shiftKey ? ['ShiftLeft'] : []),
    code,
  ];
  return { type: 'keys', codes };
}

/** Adds to what waits to be sent: text joins text, and a pointer only ever needs its last place. */
export function enqueue(waiting: readonly ScreenInput[], next: ScreenInput): readonly ScreenInput[] {
  const last = waiting.at(-1);
  if (last?.type === 'text' && next.type === 'text' && last.text.length + next.text.length <= MAX_TEXT) {
    return [...waiting.slice(0, -1), { type: 'text', text: last.text + next.text }];
  }
  if (last?.type === 'mouse' && next.type === 'mouse' && last.action === 'move' && next.action === 'move') {
    const wheel = Math.max(-MAX_WHEEL, Math.min(MAX_WHEEL, (last.wheel ?? 0) + (next.wheel ?? 0)));
    return [...waiting.slice(0, -1), { ...next, ...(wheel === 0 ? {} : { wheel }) }];
  }
  return [...waiting, next];
}

/** Long text in the pieces the API takes. */
export function splitText(text: string): readonly ScreenInput[] {
  const pieces: ScreenInput[] = [];
  for (let start = 0; start < text.length; start += MAX_TEXT)
    pieces.push({ type: 'text', text: text.slice(start, start + MAX_TEXT) });
  return pieces;
}

/** Where a pointer over the drawn picture is, in pixels of the screen. */
export function toScreen(
  pointer: { readonly x: number; readonly y: number },
  drawn: { readonly left: number; readonly top: number; readonly width: number; readonly height: number },
  screen: { readonly width: number; readonly height: number },
): { readonly x: number; readonly y: number } {
  const scale = (at: number, from: number, drawnSize: number, size: number): number =>
    Math.max(0, Math.min(size - 1, Math.floor(((at - from) / Math.max(1, drawnSize)) * size)));
  return {
    x: scale(pointer.x, drawn.left, drawn.width, screen.width),
    y: scale(pointer.y, drawn.top, drawn.height, screen.height),
  };
}

/** The body of POST …/input; the types agree, and the compiler says so when they no longer do. */
export const bodyOf = (input: ScreenInput): Partial<InputRequest> => input as Partial<InputRequest>;
