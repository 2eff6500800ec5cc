import { Module } from '@nestjs/common';
import { AdmissionRulesModule } from '../modules/admission/admission-rules.module.ts';
import { ControllersModule } from '../modules/controllers/controllers.module.ts';
import { SchedulerModule } from '../modules/scheduler/scheduler.module.ts';

/** What decides where machines go. */
@Module({ imports: [AdmissionRulesModule, ControllersModule, SchedulerModule] })
export class SchedulerRole {}
