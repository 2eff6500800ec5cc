import type { ArtifactRole } from './kinds/image-parts.ts';
import type { VmTermination } from './kinds/virtual-machine.ts';
import type { VmMemoryStatus } from './kinds/vm-memory.ts';

/**
 * The protocol between the node agent and one VM process, over Node's IPC channel (structured clone). Every input has
 * a requestId and is answered exactly once by a Reply; everything else the process says is an Event. Guest data (exec,
 * serial, files, screen) never travels here: the process serves it as HTTP on its own unix socket (data-plane.ts).
 */
export interface MachineConfig {
  readonly uid: string;
  /** Whose packs its snapshots share. */
  readonly namespace: string;
  readonly incarnation: number;
  readonly hostname: string;
  /** Locally administered, unique to this machine: `02:…`. */
  readonly macAddress: string;
  readonly memoryMiB: number;
  readonly commandLine: string;
  /** Absolute paths of the image's artifacts on this node, read-only. */
  readonly artifacts: Readonly<Partial<Record<ArtifactRole, string>>>;
  /** SeaBIOS and its VGA BIOS, part of the v86 build. */
  readonly firmware: { readonly biosPath: string; readonly vgaBiosPath: string };
  readonly imageDigest: string;
  readonly guestAgent: boolean;
  readonly acpi: boolean;
  /** Folder this incarnation may write to: its disk overlay, its socket. */
  readonly directory: string;
  /** Unix socket on which to serve the data plane. */
  readonly socketPath: string;
  /** How much of the node's memory the guest's RAM may take; absent where nobody limits it. */
  readonly memoryBudgetBytes?: number;
  /** URL of the Redis that cold pages go to; absent where they go to the machine's folder alone. */
  readonly swapRedisUrl?: string;
}

/** Beside the machine's other files: process id and a number that goes on, written once a second by whoever answers its page faults, while somebody does. */
export const PAGER_HEARTBEAT_FILE = 'pager';

/** Beside a snapshot’s manifest: what the machine showed, as a PNG. */
export const SNAPSHOT_SCREEN_FILE = 'screen.png';
/** A picture that is larger even when it was made smaller is not kept. */
export const MAX_SNAPSHOT_SCREEN_BYTES = 1024 * 1024;

/** How a VM process ends whose guest lost a page: it cannot say so, because its thread waits for that page. */
export const SWAP_LOST_EXIT_CODE = 71;
/** Likewise, for a page of its base that cannot be fetched. */
export const BASE_LOST_EXIT_CODE = 72;

/** How often a guest waited for a page, by where that was: per bucket of a histogram the pager knows the bounds of, and how long altogether. */
export type VmPageWaits = Readonly<Record<string, { readonly counts: readonly number[]; readonly microseconds: number }>>;

export type StartFrom =
  /** From the BIOS; an existing disk overlay in the machine's folder is kept. */
  | { readonly type: 'Boot' }
  /**
   * From a snapshot whose files lie in `directory`, and its packs there or, by digest, in the folder `packs`. Everything is verified before the guest runs, and before an
   * existing disk overlay is replaced.
   */
  | { readonly type: 'Snapshot'; readonly directory: string; readonly packs?: string; readonly base?: SnapshotBase }
  /**
   * From what another machine of this node was when it was frozen into `directory`. `base` is the one that machine lies on, where it lies on one
   * (`FrozenTaken.base`), and `layer` where its pages lie when somebody else than that machine holds them by now. Fails with SnapshotUnreadable when whoever
   * holds its pages is gone, or has released them.
   */
  | { readonly type: 'Frozen'; readonly directory: string; readonly layer?: BaseRam; readonly base?: SnapshotBase };

/** The pages that a snapshot begins with, held by the node agent for all machines from it. A machine that cannot map them reads them from its directory. */
export interface SnapshotBase {
  /** Of the pack they are from, which is the first of the snapshot’s memory. */
  readonly sha256: string;
  readonly ram: BaseRam;
  /** Where to ask for pages that are not there yet (libs/memory/src/base-pager). Absent once all are. */
  readonly requestsPath?: string;
}

export type BaseRam =
  /** Memory of the node agent: `path` leads to it while the agent lives, `inode` says that it is still the one that was meant. */
  | { readonly type: 'Sealed'; readonly path: string; readonly inode: number; readonly sizeBytes: number }
  /** A file that nobody writes to, where the host has no such memory. */
  | { readonly type: 'File'; readonly path: string; readonly sizeBytes: number };

/** Who a machine is, to its guest and on its node. */
export type MachineIdentity = Pick<MachineConfig, 'uid' | 'hostname' | 'macAddress' | 'directory'>;

export type VmProcessInput =
  /**
   * Before Start, at most once: goes through a whole start with a machine that is thrown away, so that what comes is compiled,
   * and builds the devices of the next machine, which is alike.
   */
  | { readonly type: 'Rehearse'; readonly requestId: number; readonly config: MachineConfig; readonly from: StartFrom }
  | { readonly type: 'Start'; readonly requestId: number; readonly config: MachineConfig; readonly from: StartFrom }
  /**
   * The running machine goes on as another one, whose folder it has by now: its guest is told who it is, with new entropy, as
   * after a restore. Answered once the guest agent has heard of it, at once where there is none.
   */
  | { readonly type: 'Identify'; readonly requestId: number; readonly identity: MachineIdentity }
  | { readonly type: 'Pause'; readonly requestId: number }
  | { readonly type: 'Resume'; readonly requestId: number }
  /** From now on the guest's RAM may take so much of the node's memory; null: as much as it likes. */
  | { readonly type: 'SetMemoryBudget'; readonly requestId: number; readonly budgetBytes: number | null }
  /**
   * Writes a snapshot into the (existing, empty) directory, and into it the packs that are new; the guest runs on as soon as its state is copied. It lies on none
   * of the packs in `lost`, by digest, which nobody has any more; refused as SnapshotUnreadable where the pages that are mapped came from one of them.
   */
  | { readonly type: 'Snapshot'; readonly requestId: number; readonly directory: string; readonly lost?: readonly string[] }
  /**
   * Pauses the guest for good, writes a complete snapshot and its last screen into the (existing, empty) directories, and stays
   * paused: the process has nothing left to do. With `ifIdle`, refuses as Busy when the guest was used or worked just now. After
   * a refusal, Resume lets it go on. `lost` as of Snapshot.
   */
  | { readonly type: 'Hibernate'; readonly requestId: number; readonly directory: string; readonly screenDirectory: string; readonly ifIdle: boolean; readonly lost?: readonly string[] }
  /**
   * Writes what the machine is at this moment into the (existing, empty) directory, for machines of this node to start from; the guest runs on as soon as
   * its state is copied. This process holds the pages until it ends, or is told to let go of them: machines that have started keep theirs.
   */
  | { readonly type: 'Freeze'; readonly requestId: number; readonly directory: string }
  /**
   * The moment that this machine, started from what was frozen, began with is a snapshot by now, whose manifest lies in `directory`: the machine's next snapshot builds
   * on that, as its siblings' do. Does nothing where the machine has been written out by itself since.
   */
  | { readonly type: 'BuildOn'; readonly requestId: number; readonly directory: string }
  /** No machine will start from what was frozen into this directory any more. Removing the directory is the sender's part. */
  | { readonly type: 'ReleaseFrozen'; readonly requestId: number; readonly directory: string }
  /** Asks the guest to shut down and waits; when the deadline passes, or when it is 0, stops at once. Then the process exits 0. */
  | { readonly type: 'Stop'; readonly requestId: number; readonly graceMs: number };

export interface SnapshotFile {
  /** Relative to the snapshot's directory; a pack's is its SHA-256. */
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface SnapshotTaken {
  readonly pauseMs: number;
  readonly files: readonly SnapshotFile[];
  /** Which of `files` is the manifest. */
  readonly manifest: SnapshotFile;
}

export interface FrozenTaken {
  readonly pauseMs: number;
  /** How many pages are in memory for machines to start from: all that differ from the base. */
  readonly pages: number;
  /** SHA-256 of the pack that the base is of; absent where there is none. */
  readonly base?: string;
}

export type VmProcessOutput =
  /** The module is loaded and the process waits for Start: what the pool of pre-started processes waits for. */
  | { readonly type: 'Waiting' }
  | { readonly type: 'Reply'; readonly requestId: number; readonly ok: true; readonly snapshot?: SnapshotTaken; readonly frozen?: FrozenTaken }
  | { readonly type: 'Reply'; readonly requestId: number; readonly ok: false; readonly reason: VmProcessFailure; readonly message: string }
  /** The guest agent answered its first probe of this incarnation. */
  | { readonly type: 'AgentAnswered' }
  /** The agent has not answered for a while; it may come back. */
  | { readonly type: 'AgentSilent' }
  /** Nobody has used the guest, and it has rested, for so long. Told once; what follows is Active. */
  | { readonly type: 'Idle'; readonly forMs: number }
  /** It is used again, or works. */
  | { readonly type: 'Active' }
  | { readonly type: 'GuestPanicked'; readonly message: string }
  | { readonly type: 'GuestRebooted' }
  /** Where the guest's RAM is, when that has changed enough to matter. */
  | { readonly type: 'Memory'; readonly memory: VmMemoryStatus; readonly pageWaits?: VmPageWaits }
  /** Sent before the process exits by itself. */
  | { readonly type: 'Ended'; readonly reason: VmTermination['reason']; readonly message: string };

export type VmProcessFailure =
  | 'SnapshotCorrupt'
  | 'SnapshotIncompatible'
  | 'SnapshotUnreadable'
  | 'DiskFull'
  | 'ImageUnbootable'
  | 'EmulatorFailed'
  | 'NotStarted'
  /** Somebody needs it now. */
  | 'Busy'
  | 'Internal';
