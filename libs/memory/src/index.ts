/** The snapshot format (docs/snapshot-format.md): packs of 4 KiB pieces, the manifest, and a directory that holds both. */
export { decodeManifest, encodeManifest, filesOf, incompatibility, MANIFEST_FILE, MAX_SERIAL_BYTES, SNAPSHOT_FORMAT_VERSION, SnapshotMachine, SnapshotManifest } from './manifest.ts';
export { decodePackIndex, frameDigest, packIndexBytes, packIndexBytesOf, type PackFrame, type PackIndex } from './pack-index.ts';
export { encodePack, expandFrame, PackReader, PIECE_BYTES, type PackSource, type Piece, type PieceRun } from './pack.ts';
export { expandSnapshot, openSnapshot, VERIFIED_FILE, writeSnapshot, type OpenedSnapshot, type PagePlace, type SnapshotContent, type WrittenSnapshot } from './snapshot.directory.ts';
export { HostMemory, MappingFailed, type MemoryCapability, type MemoryMode } from './host/host-memory.ts';
export { SnapshotError, type SnapshotErrorReason } from './snapshot.error.ts';
export { SealedMemory, SealingFailed, type SealedMemoryPlace } from './host/sealed-memory.ts';
