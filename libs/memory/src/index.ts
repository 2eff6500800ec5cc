/** The snapshot format (docs/snapshot-format.md): packs of 4 KiB pieces, the manifest, and a directory that holds both. */
export { decodeManifest, encodeManifest, incompatibility, MANIFEST_FILE, SNAPSHOT_FORMAT_VERSION, SnapshotMachine, SnapshotManifest } from './manifest.ts';
export { decodePack, encodePack, PIECE_BYTES, type Piece, type PieceRun } from './pack.ts';
export { openSnapshot, VERIFIED_FILE, writeSnapshot, type OpenedSnapshot, type SnapshotContent, type WrittenSnapshot } from './snapshot.directory.ts';
export { SnapshotError, type SnapshotErrorReason } from './snapshot.error.ts';
