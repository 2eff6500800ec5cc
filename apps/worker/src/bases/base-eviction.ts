/** A base on this node, as far as it matters who has to go. */
export interface BaseUse {
  readonly name: string;
  readonly storedBytes: number;
  /** Machines that map it: it would not become free before they end, and those that come later would share nothing with them. */
  readonly users: number;
  readonly usedAtMs: number;
}

/** Which bases go so that the rest fits: those nobody uses, the least recently used first. What is in use stays, also beyond the budget. */
export function basesToEvict(bases: readonly BaseUse[], maxBytes: number): string[] {
  let total = bases.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const going: string[] = [];
  for (const { name, storedBytes } of bases.filter(({ users }) => users === 0).sort((a, b) => a.usedAtMs - b.usedAtMs)) {
    if (total <= maxBytes) break;
    total -= storedBytes;
    going.push(name);
  }
  return going;
}
