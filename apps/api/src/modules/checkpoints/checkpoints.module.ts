import { Module } from '@nestjs/common';
import { CheckpointReconciler } from './checkpoint.reconciler.ts';

/** Snapshots that are taken and removed because a machine's policy says so. */
@Module({ providers: [CheckpointReconciler] })
export class CheckpointsModule {}
