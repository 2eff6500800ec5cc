import { Module } from '@nestjs/common';
import { EventSweep } from './event.sweep.ts';

/** The life of events. Writing them is libs/reconcile's EventRecorder. */
@Module({ providers: [EventSweep], exports: [EventSweep] })
export class EventsModule {}
