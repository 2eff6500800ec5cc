import { Module } from '@nestjs/common';
import { PoolReconciler } from './pool.reconciler.ts';

/** Machines started ahead of time. */
@Module({ providers: [PoolReconciler] })
export class PoolsModule {}
