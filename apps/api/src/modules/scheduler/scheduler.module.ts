import { Module } from '@nestjs/common';
import { SchedulerReconciler } from './scheduler.reconciler.ts';
import { SystemPriorityClasses } from './system-priority-classes.ts';

/** Decides where machines go. */
@Module({ providers: [SchedulerReconciler, SystemPriorityClasses] })
export class SchedulerModule {}
