import { readFileSync } from 'node:fs';

/** What the kernel says of a process. Source: proc(5), /proc/<pid>/stat. */
export interface ProcessEntry {
  readonly pid: number;
  readonly name: string;
  readonly parent: number;
  /** In clock ticks since boot: tells a process from a later one that was given the same pid. */
  readonly startTime: string;
}

export function findProcess(pid: number): ProcessEntry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name stands in parentheses and may hold anything, parentheses too.
    const end = stat.lastIndexOf(')');
    const [, parent = '', ...rest] = stat.slice(end + 2).split(' ');
    return { pid, name: stat.slice(stat.indexOf('(') + 1, end), parent: Number(parent), startTime: rest[17] ?? '' };
  } catch {
    return undefined;
  }
}

/** Whether it is still the same process. */
export const isAlive = ({ pid, startTime }: ProcessEntry): boolean => findProcess(pid)?.startTime === startTime;

/** The npm that runs us as a script: our parent, or its parent when npm's shell stayed in between. */
export function findNpm(parent = process.ppid): ProcessEntry | undefined {
  const nearest = findProcess(parent);
  return nearest && /^(ba|da)?sh$/.test(nearest.name) ? findProcess(nearest.parent) : nearest;
}
