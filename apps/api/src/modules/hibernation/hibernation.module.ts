import { Module } from '@nestjs/common';
import { ControllersModule } from '../controllers/controllers.module.ts';
import { HibernationRoutes } from './hibernation.routes.ts';
import { Hibernations } from './hibernations.ts';

/** Machines that nobody uses sleep, and wake up when somebody does. */
@Module({ imports: [ControllersModule], providers: [Hibernations, HibernationRoutes], exports: [Hibernations] })
export class HibernationModule {}
