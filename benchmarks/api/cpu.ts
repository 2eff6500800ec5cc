import { readdirSync, readFileSync } from 'node:fs';

/** Kernel ticks are 10 ms on every Linux this runs on. */
const TICK_MS = 10;

function statOf(pid: number | string): { readonly parent: number; readonly cpuMs: number } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    // utime, stime, and those of children that have ended.
    const ticks = [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]), 0);
    return { parent: Number(fields[1]), cpuMs: ticks * TICK_MS };
  } catch {
    return undefined;
  }
}

/** CPU time a process and its children have used so far, ended ones included. */
export function cpuMsOf(pid: number): number {
  const children = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && statOf(entry)?.parent === pid);
  return [pid, ...children].reduce((sum: number, each) => sum + (statOf(each)?.cpuMs ?? 0), 0);
}

/** CPU time the whole machine has used so far, steal by its host included. */
export function machineCpuMs(): number {
  const [, ...ticks] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.trim().split(/\s+/) ?? [];
  // user nice system idle iowait irq softirq steal
  return [0, 1, 2, 5, 6, 7].reduce((sum, field) => sum + Number(ticks[field]), 0) * TICK_MS;
}
