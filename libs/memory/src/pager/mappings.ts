import { readFileSync } from 'node:fs';

/** A stretch of this process's address space, as far as it was asked about. */
export interface Mapping {
  readonly from: number;
  readonly to: number;
  readonly isAnonymous: boolean;
}

/** What is mapped between two addresses. Source: proc_pid_maps(5). */
export function mappingsBetween(start: number, end: number): readonly Mapping[] {
  return parseMappings(readFileSync('/proc/self/maps', 'latin1'), start, end);
}

export function parseMappings(text: string, start: number, end: number): readonly Mapping[] {
  const found: Mapping[] = [];
  for (const line of text.split('\n')) {
    const [, first, last, inode] = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ (\d+)/.exec(line) ?? [];
    if (first === undefined || last === undefined) continue;
    const [from, to] = [Math.max(Number.parseInt(first, 16), start), Math.min(Number.parseInt(last, 16), end)];
    if (from < to) found.push({ from, to, isAnonymous: inode === '0' });
  }
  return found;
}
