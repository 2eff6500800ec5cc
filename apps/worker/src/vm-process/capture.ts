import { setImmediate as nextTurn } from 'node:timers/promises';
import { PageCopy, type PageSet } from '@corral/memory';
import type { ChangeScope, Emulator, FrozenClusters } from '@corral/v86-host';
import type { MachineMemory } from './machine-memory.ts';
import type { SerialHub } from './serial.hub.ts';

/** A machine that can be captured. */
export interface CapturedMachine {
  readonly emulator: Emulator;
  readonly memory: MachineMemory;
  readonly serial: SerialHub;
  /** Whether the guest is to run on afterwards. */
  mayRun(): boolean;
}

/** A machine at one moment, held in this process until it is written somewhere. */
export interface Capture<Moment> {
  readonly createdAt: Date;
  readonly pauseMs: number;
  readonly pages: PageCopy;
  /** What the caller had to know of that moment. */
  readonly moment: Moment;
  readonly devices: Uint8Array;
  readonly said: Uint8Array;
  /** Of the disk; whoever takes them says what became of them. */
  readonly clusters: FrozenClusters | undefined;
}

/** What to capture. The functions are asked while the guest stands still, or between two of its slices. */
export interface CaptureOf<Moment extends { abandon(): void }> {
  /** Pages to copy, as of now. */
  pages(): PageSet;
  /** Clusters of the disk to hold on to. */
  readonly disk: ChangeScope;
  /** The guest stands still, and its pages were copied. It is abandoned where the rest of the capture fails. */
  moment(): Moment;
}

/** How much is copied between two slices of the guest: 2 MiB, a fifth of a millisecond. */
const SLICE_PAGES = 512;
/** So few pages are copied in the pause; fewer rounds would only postpone it. */
const FEW_PAGES = 256;
/** A guest that writes faster than it is copied is not caught up with. */
const MAX_ROUNDS = 5;

/**
 * Copies what a machine is at one moment. Most of its pages are copied while the guest runs, again and again as it writes to them; then it
 * stands still while the rest, and its devices, are copied. The disk is not copied: it keeps old clusters while it is frozen.
 */
export async function capture<Moment extends { abandon(): void }>({ emulator, memory, serial, mayRun }: CapturedMachine, what: CaptureOf<Moment>): Promise<Capture<Moment>> {
  const pages = new PageCopy(memory.ram, memory.host?.libc);
  // What the guest writes to while it is copied has to be copied again.
  const again = memory.isTracked && emulator.running ? memory.ram.follow() : undefined;
  try {
    if (again) await copyWhileRunning(memory, pages, what.pages(), again.pages);
    const begun = performance.now();
    await emulator.pause();
    try {
      const createdAt = new Date();
      memory.ram.harvest();
      for (const run of (again?.pages ?? what.pages()).runs()) pages.take(run);
      const [devices, said] = [emulator.saveDevices(), serial.tail];
      const moment = what.moment();
      // The disk last: only what has been copied wholly is written, and lets go of it.
      const clusters = frozenOr(() => emulator.disk?.freeze(what.disk), moment);
      if (mayRun()) emulator.run();
      return { createdAt, pauseMs: Math.round((performance.now() - begun) * 10) / 10, pages, moment, devices, said, clusters };
    } finally {
      if (mayRun() && !emulator.running) emulator.run();
    }
  } catch (error) {
    pages.free();
    throw error;
  } finally {
    again?.stop();
  }
}

function frozenOr<T>(freeze: () => T, moment: { abandon(): void }): T {
  try {
    return freeze();
  } catch (error) {
    moment.abandon();
    throw error;
  }
}

/** Until few pages are left: those are in `written` then. */
async function copyWhileRunning({ ram }: MachineMemory, copy: PageCopy, first: PageSet, written: PageSet): Promise<void> {
  let round = first;
  for (let rounds = 0; rounds < MAX_ROUNDS; rounds += 1) {
    let inSlice = 0;
    for (const run of round.runs(SLICE_PAGES)) {
      copy.take(run);
      inSlice += run.count;
      if (inSlice < SLICE_PAGES) continue;
      inSlice = 0;
      await nextTurn();
    }
    ram.harvest();
    if (written.count <= FEW_PAGES || (rounds > 0 && written.count > round.count / 2)) return;
    round = written.clone();
    written.clear();
  }
  written.union(round);
}
