import { Module } from '@nestjs/common';
import { MovesModule } from '../nodes/moves.module.ts';
import { PodRoutes } from './pod.routes.ts';

/** Machines as Pods. */
@Module({ imports: [MovesModule], providers: [PodRoutes] })
export class PodsModule {}
