import { Module } from '@nestjs/common';
import { NodeHints } from './node-hints.ts';
import { NodeReconciler } from './node.reconciler.ts';

/** Who is there, who is lost, and telling nodes where to look. */
@Module({ providers: [NodeReconciler, NodeHints] })
export class NodesModule {}
