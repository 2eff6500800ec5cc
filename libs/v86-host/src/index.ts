/** The only code that knows v86: a machine to run, pause, save and restore, and its devices as plain objects. */
export { AGENT_PORT_MESSAGE_BYTES, type AgentPort } from './agent-port.ts';
export type { FreePages } from './balloon.ts';
export type { ChangeScope } from './cluster-changes.ts';
export { CLUSTER_BYTES, OverlayDisk, type Cluster, type FrozenClusters } from './disk.ts';
export { Emulator, Unbootable, type BootMedia, type EmulatorConfig, type EmulatorEvents, type EmulatorHardware } from './emulator.ts';
export type { GuestMemory } from './guest-memory.ts';
export { isKeyCode, keystrokeOf, type Keyboard } from './keyboard.ts';
export type { Pointer, PointerButton } from './pointer.ts';
export type { Picture, Screen } from './screen.ts';
export type { SerialPort } from './serial-port.ts';
export { preloadV86, v86Build, type FirmwarePaths } from './v86.build.ts';
export { warmUp } from './warm-up.ts';
