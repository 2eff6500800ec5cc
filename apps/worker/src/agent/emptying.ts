import { setTimeout as delay } from 'node:timers/promises';

export interface EmptyingSteps {
  /** Asks the API to move every machine away. */
  ask(): Promise<unknown>;
  /** Machines with a process here. */
  liveCount(): number;
  /** Of these, those whose move is under way. */
  movingCount(): number;
}

/** How long the API may take to decide on each machine; what does not move by then has nowhere to go. */
const DECISION_MS = 8_000;
const LOOK_EVERY_MS = 50;

/** Waits until the machines have left, or none of those left is on its way, or the time is over. Never fails. */
export async function emptyNode({ ask, liveCount, movingCount }: EmptyingSteps, deadlineMs: number, decisionMs = DECISION_MS): Promise<void> {
  if (liveCount() === 0) return;
  const begunAt = performance.now();
  let lastMoveAt = begunAt;
  // Without the API nobody moves anything.
  if (!(await ask().then(() => true, () => false))) return;
  for (;;) {
    const now = performance.now();
    if (movingCount() > 0) lastMoveAt = now;
    if (liveCount() === 0 || now - begunAt >= deadlineMs || now - lastMoveAt >= decisionMs) return;
    await delay(LOOK_EVERY_MS);
  }
}
