import { setTimeout as delay } from 'node:timers/promises';
import type { Screen } from './screen.ts';
import type { V86Emulator } from './v86.internals.ts';

export type PointerButton = 'left' | 'middle' | 'right';
const CLICK_MS = 30;
/** A PS/2 packet carries at most this much movement (8 bits and a sign). */
const LONGEST_STEP = 127;

/** The guest's mouse: exact where its driver speaks VMware's absolute protocol, by relative movement otherwise. */
export class Pointer {
  readonly #emulator: V86Emulator;
  readonly #screen: Screen;
  readonly #pressed = { left: false, middle: false, right: false };
  #position = { x: 0, y: 0 };
  #absolute = false;

  constructor(emulator: V86Emulator, screen: Screen) {
    this.#emulator = emulator;
    this.#screen = screen;
    emulator.add_listener('vmware-absolute-mouse', (absolute: boolean) => {
      this.#absolute = absolute;
    });
  }

  /** Moves to a position in pixels of the current screen. */
  moveTo(x: number, y: number): void {
    const { width, height } = this.#screen.size();
    const { bus } = this.#emulator;
    let dx = x - this.#position.x;
    let dy = this.#position.y - y;
    this.#position = { x, y };
    bus.send('mouse-absolute', [x, y, width, height]);
    // An absolute packet raises no interrupt: the relative one wakes the driver, which then ignores its movement.
    if (this.#absolute) bus.send('mouse-delta', [Math.sign(dx) || 1, Math.sign(dy)]);
    while (!this.#absolute && (dx !== 0 || dy !== 0)) {
      const step = [dx, dy].map((delta) => Math.max(-LONGEST_STEP, Math.min(LONGEST_STEP, delta)));
      bus.send('mouse-delta', step);
      dx -= step[0] ?? 0;
      dy -= step[1] ?? 0;
    }
  }

  hold(button: PointerButton, pressed: boolean): void {
    this.#pressed[button] = pressed;
    this.#emulator.bus.send('mouse-click', [this.#pressed.left, this.#pressed.middle, this.#pressed.right]);
  }

  async click(button: PointerButton): Promise<void> {
    this.hold(button, true);
    await delay(CLICK_MS);
    this.hold(button, false);
  }

  /** Positive turns the wheel up, away from the user. */
  wheel(notches: number): void {
    for (let notch = 0; notch < Math.abs(notches); notch += 1) this.#emulator.bus.send('mouse-wheel', [Math.sign(notches), 0]);
  }
}
