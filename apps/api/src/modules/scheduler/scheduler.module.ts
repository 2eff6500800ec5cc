import { Module } from '@nestjs/common';
import { SchedulerReconciler } from './scheduler.reconciler.ts';

/** Decides where machines go. */
@Module({ providers: [SchedulerReconciler] })
export class SchedulerModule {}
