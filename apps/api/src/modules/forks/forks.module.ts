import { Module } from '@nestjs/common';
import { ResourceRoutesModule } from '../resources/resources.module.ts';
import { ForkReconciler } from './fork.reconciler.ts';
import { ForkRoutes } from './fork.routes.ts';
import { MomentTaking } from './moment-taking.ts';

/** Live forks, as they are asked for. */
@Module({ imports: [ResourceRoutesModule], providers: [ForkRoutes, MomentTaking] })
export class ForkRoutesModule {}

/** The moments they go on from. */
@Module({ providers: [ForkReconciler] })
export class ForksModule {}
