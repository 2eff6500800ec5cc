/** The snapshot format (docs/snapshot-format.md): packs of 4 KiB pieces, the manifest, and a directory that holds both. */
export { decodeManifest, encodeManifest, filesOf, incompatibility, MANIFEST_FILE, MAX_SERIAL_BYTES, SNAPSHOT_FORMAT_VERSION, SnapshotMachine, SnapshotManifest } from './manifest.ts';
export { decodePackIndex, frameDigest, packIndexBytes, packIndexBytesOf, type PackFrame, type PackIndex } from './pack-index.ts';
export { encodePack, expandFrame, PackReader, PIECE_BYTES, type PackSource, type Piece, type PieceRun } from './pack.ts';
export { expandSnapshot, openSnapshot, VERIFIED_FILE, writeSnapshot, type OpenedSnapshot, type PagePlace, type SnapshotContent, type WrittenSnapshot } from './snapshot.directory.ts';
export { HostMemory, MEMORY_MODES, WRITTEN_PRIVATELY, type MemoryCapability, type MemoryMode, type ProbedMemory, type ProbeOptions } from './host/host-memory.ts';
export { MappingFailed } from './host/mapping-failed.ts';
export { MemoryBlock } from './host/memory-block.ts';
export { loadLibc, type Libc } from './host/libc.ts';
export { PageCategory, PageScan, type PageQuery } from './host/page-scan.ts';
export { PlaceFlag, UserFault, UserFaultFeature, UserFaultMode, type PageFault } from './host/userfault.ts';
export { GuestRam, type FollowedWrites } from './guest-ram.ts';
export { PageCopy } from './page-copy.ts';
export { machinePages, PAGE_BYTES, ramPages, SCREEN_PAGES } from './machine-pages.ts';
export { PageSet, type PageRun } from './page-set.ts';
export { SnapshotError, type SnapshotErrorReason } from './snapshot.error.ts';
export { SealedMemory, SealingFailed, type SealedMemoryPlace } from './host/sealed-memory.ts';
