import { Module } from '@nestjs/common';
import { ControllersModule } from '../controllers/controllers.module.ts';
import { MovesModule } from '../nodes/moves.module.ts';
import { HibernationRoutes } from './hibernation.routes.ts';
import { Hibernations } from './hibernations.ts';
import { StoringReconciler } from './storing.reconciler.ts';

/** Keeps sleeping machines where they outlive their nodes. */
@Module({ providers: [StoringReconciler] })
export class HibernationControllersModule {}

/** Machines that nobody uses sleep, and wake up when somebody does. */
@Module({ imports: [ControllersModule, MovesModule], providers: [Hibernations, HibernationRoutes], exports: [Hibernations] })
export class HibernationModule {}
