import type { V86Cpu } from './v86.internals.ts';

export interface TimeStamp {
  readonly low: number;
  readonly high: number;
}

export function readTimeStamp(cpu: V86Cpu): TimeStamp {
  cpu.store_current_tsc();
  return { low: cpu.current_tsc[0] ?? 0, high: cpu.current_tsc[1] ?? 0 };
}

/**
 * Zeroes the offset of the guest's time stamp counter. Upstream's set_tsc computes the new offset from a reading that
 * already contains the old one, so a second setting makes the guest's clock jump; from offset zero it is right.
 */
export function clearTimeStampOffset(cpu: V86Cpu): void {
  const { low, high } = readTimeStamp(cpu);
  cpu.set_tsc(low, high);
}

export function setTimeStamp(cpu: V86Cpu, { low, high }: TimeStamp): void {
  clearTimeStampOffset(cpu);
  cpu.set_tsc(low, high);
}
