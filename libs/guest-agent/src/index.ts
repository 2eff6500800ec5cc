/** The host's side of the guest agent's protocol (docs/guest-agent.md): bytes in, bytes out; time and chance injected. */
export { AgentLost, GuestError } from './errno.ts';
export { Execution, type ExecExit, type ExecOptions, type TerminalSize } from './execution.ts';
export { GuestFiles, type GuestDirectoryEntry, type GuestFileStat } from './files.ts';
export { encodeFrame, FrameDecoder, FrameFlag, GuestFrame, HostFrame, MAX_HOST_PAYLOAD_BYTES, type Frame } from './frame.ts';
export { encodeFreshness, type Freshness } from './freshness.ts';
export { powerOff } from './power.ts';
export { AgentBusy, AgentSession, type SessionEvents, type SessionOptions, type SessionPort } from './session.ts';
export type { Timers } from './timers.ts';
