import { Module } from '@nestjs/common';
import { PoolMoments } from './pool-moments.ts';
import { PoolReconciler } from './pool.reconciler.ts';

/** Machines started ahead of time. */
@Module({ providers: [PoolReconciler, PoolMoments] })
export class PoolsModule {}
