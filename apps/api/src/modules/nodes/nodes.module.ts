import { Module } from '@nestjs/common';
import { EvictionReconciler } from './eviction.reconciler.ts';
import { NodeHints } from './node-hints.ts';
import { NodeMetrics } from './node-metrics.ts';
import { NodeReconciler } from './node.reconciler.ts';
import { Unbinding } from './unbinding.ts';

/** Who is there, who is lost, and telling nodes where to look. */
@Module({ providers: [NodeReconciler, EvictionReconciler, Unbinding, NodeMetrics, NodeHints] })
export class NodesModule {}
