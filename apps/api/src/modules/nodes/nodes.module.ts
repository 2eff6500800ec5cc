import { Module } from '@nestjs/common';
import { DisruptionBudgetReconciler } from './disruption-budget.reconciler.ts';
import { EvictionReconciler } from './eviction.reconciler.ts';
import { MoveReconciler } from './move.reconciler.ts';
import { MovesModule } from './moves.module.ts';
import { NodeHints } from './node-hints.ts';
import { NodeReconciler } from './node.reconciler.ts';

/** Who is there, who is lost, what leaves and why, and telling nodes where to look. */
@Module({ imports: [MovesModule], providers: [NodeReconciler, EvictionReconciler, MoveReconciler, DisruptionBudgetReconciler, NodeHints] })
export class NodesModule {}
