/** The snapshot format (docs/snapshot-format.md): packs of 4 KiB pieces, layers of packs, the manifest that names them, and a directory that holds one. */
export { incompatibility, SnapshotMachine } from './machine.ts';
export {
  adopted,
  decodeManifest,
  encodeManifest,
  filesOf,
  storedFilesOf,
  Layer,
  layersOf,
  MANIFEST_FILE,
  MAX_SERIAL_BYTES,
  packKey,
  Sha256,
  SNAPSHOT_FORMAT_VERSION,
  Timestamp,
  type SnapshotFileEntry,
  type SnapshotManifest,
} from './manifest.ts';
export { LayerStack } from './layer-stack.ts';
export { layerPlan, MAX_LAYERS_WRITTEN, type LayerPlan } from './layer-plan.ts';
export { layerKeys, lineageOf, NO_LINEAGE, type Lineage } from './lineage.ts';
export { decodePackIndex, frameDigest, packIndexBytes, packIndexBytesOf, type PackFrame, type PackIndex } from './pack-index.ts';
export { encodePack, expandFrame, PackReader, PIECE_BYTES, type PackSource, type Piece, type PieceRun } from './pack.ts';
export { openSnapshot, VERIFIED_FILE, type LayerRun, type OpenedSnapshot, type OpenOptions, type PagePlace } from './snapshot.read.ts';
export { writeSnapshot, type LayeredPieces, type SnapshotContent, type WrittenSnapshot } from './snapshot.write.ts';
export { HostMemory, MEMORY_MODES, WRITTEN_PRIVATELY, type MemoryCapability, type MemoryMode, type ProbedMemory, type ProbeOptions } from './host/host-memory.ts';
export { MappingFailed } from './host/mapping-failed.ts';
export { MemoryBlock } from './host/memory-block.ts';
export { loadLibc, type Libc } from './host/libc.ts';
export { PageCategory, PageScan, type PageQuery } from './host/page-scan.ts';
export { PlaceFlag, UserFault, UserFaultFeature, UserFaultMode, type PageFault } from './host/userfault.ts';
export { GuestRam } from './guest-ram.ts';
export { PageCopy } from './page-copy.ts';
export { machinePages, PAGE_BYTES, ramPages, SCREEN_PAGES } from './machine-pages.ts';
export { PageSet, type PageRun } from './page-set.ts';
export { SnapshotError, type SnapshotErrorReason } from './snapshot.error.ts';
export { SealedMemory, SealingFailed, type SealedMemoryPlace } from './host/sealed-memory.ts';
export { Pager, type Look, type PagerOptions, type PagerUsage } from './pager/pager.ts';
export { LATENCY_BUCKETS_US, PAGE_ORIGINS, PAGER_COUNTERS, type PageOrigin, type PagerCounter, type PageWaits } from './pager/pager-control.ts';
export { redisAddress, RedisUnsuitable, type RedisAddress } from './pager/redis-address.ts';
export { LookPacing } from './pager/look-pacing.ts';
export { clusterKeys, swapKeyPrefix } from './pager/swap-keys.ts';
export { SwapLost } from './pager/swap-tiers.ts';
export { BasePager, type BasePagerOptions } from './base-pager/base-pager.ts';
export { type FollowedWrites } from './write-tracking.ts';
export { BASE_IS_WHOLE, type PageRange } from './base-pager/base-pager.protocol.ts';
