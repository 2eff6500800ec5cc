import { Module } from '@nestjs/common';
import { SnapshotData } from './snapshot-data.ts';
import { SnapshotReconciler } from './snapshot.reconciler.ts';
import { StorageSweep } from './storage.sweep.ts';

/** The life of snapshots, and of their bytes. */
@Module({ providers: [SnapshotData, SnapshotReconciler, StorageSweep], exports: [StorageSweep] })
export class SnapshotsModule {}
