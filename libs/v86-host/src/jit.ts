import type { V86Cpu } from './v86.internals.ts';

const LOOK_EVERY_MS = 250;
const BUSY_SHARE = 0.75;
const BUSY_LOOKS = 4;
/** v86's settings: 0 is "no JIT at all". */
const JIT_DISABLED = 0;

/**
 * Leaves v86's JIT off until the guest has kept a core busy for a second. Compiling x86 to WebAssembly pays only for code
 * that runs long: short commands after a restore take half the time and 50 MB less without it, a compute loop an eighth
 * of the time with it.
 */
export class JitSwitch {
  readonly #cpu: V86Cpu;
  readonly #mainLoop: () => number;
  readonly #timer: NodeJS.Timeout;
  #busyMs = 0;
  #busyLooks = 0;
  #lastLook = performance.now();

  constructor(cpu: V86Cpu) {
    this.#cpu = cpu;
    this.#mainLoop = cpu.main_loop.bind(cpu);
    cpu.set_jit_config(JIT_DISABLED, 1);
    cpu.main_loop = () => {
      const begun = performance.now();
      const nap = this.#mainLoop();
      this.#busyMs += performance.now() - begun;
      return nap;
    };
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  dispose(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    const share = this.#busyMs / (now - this.#lastLook);
    this.#lastLook = now;
    this.#busyMs = 0;
    this.#busyLooks = share >= BUSY_SHARE ? this.#busyLooks + 1 : 0;
    if (this.#busyLooks < BUSY_LOOKS) return;
    this.#cpu.set_jit_config(JIT_DISABLED, 0);
    this.#cpu.main_loop = this.#mainLoop;
    this.dispose();
  }
}
