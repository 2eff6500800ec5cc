import { Module } from '@nestjs/common';
import { Unbinding } from '../nodes/unbinding.ts';
import { Binding } from './binding.ts';
import { Preemptor } from './preemptor.ts';
import { Scheduler } from './scheduler.ts';
import { SchedulerMetrics } from './scheduler-metrics.ts';
import { SystemPriorityClasses } from './system-priority-classes.ts';

/** Decides where machines go, and who makes room for whom. */
@Module({ providers: [Scheduler, Binding, Unbinding, Preemptor, SchedulerMetrics, SystemPriorityClasses] })
export class SchedulerModule {}
