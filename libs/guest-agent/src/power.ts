import { HostFrame } from './frame.ts';
import type { AgentSession } from './session.ts';

const POWER_OFF = 'p'.charCodeAt(0);

/** Asks the guest to end its processes and switch itself off. Resolves when the agent has begun. */
export async function powerOff(session: AgentSession): Promise<void> {
  await session.request(HostFrame.Power, Uint8Array.of(POWER_OFF), 5000);
}
