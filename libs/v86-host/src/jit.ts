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
export function jitWhenBusy(cpu: V86Cpu, clock: () => number = () => performance.now()): void {
  const mainLoop = cpu.main_loop.bind(cpu);
  let busyMs = 0;
  let busyLooks = 0;
  let lastLook = clock();
  cpu.set_jit_config(JIT_DISABLED, 1);
  // Looked at as the guest runs: a timer would wake an idle machine four times a second.
  cpu.main_loop = () => {
    const begun = clock();
    const nap = mainLoop();
    const now = clock();
    busyMs += now - begun;
    if (now - lastLook < LOOK_EVERY_MS) return nap;
    busyLooks = busyMs / (now - lastLook) >= BUSY_SHARE ? busyLooks + 1 : 0;
    busyMs = 0;
    lastLook = now;
    if (busyLooks >= BUSY_LOOKS) {
      cpu.set_jit_config(JIT_DISABLED, 0);
      cpu.main_loop = mainLoop;
    }
    return nap;
  };
}
