import { Module } from '@nestjs/common';
import { ControllersModule } from '../controllers/controllers.module.ts';
import { Moves } from './moves.ts';
import { NodeMetrics } from './node-metrics.ts';
import { Unbinding } from './unbinding.ts';

/** Asking machines to leave their nodes: for who answers requests, and for who watches over nodes. */
@Module({ imports: [ControllersModule], providers: [Moves, Unbinding, NodeMetrics], exports: [Moves, Unbinding, NodeMetrics] })
export class MovesModule {}
