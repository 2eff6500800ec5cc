import { Module } from '@nestjs/common';
import { PackSweep } from './pack.sweep.ts';
import { SnapshotData } from './snapshot-data.ts';
import { SnapshotReconciler } from './snapshot.reconciler.ts';
import { StorageMetrics } from './storage-metrics.ts';
import { StorageSweep } from './storage.sweep.ts';

/** The life of snapshots, and of their bytes. */
@Module({ providers: [SnapshotData, PackSweep, StorageMetrics, SnapshotReconciler, StorageSweep], exports: [StorageSweep] })
export class SnapshotsModule {}
