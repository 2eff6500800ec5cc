import { Module } from '@nestjs/common';
import { StateLossReconciler } from './state-loss.reconciler.ts';

/** Machines that lost a page of their memory, or what they were written out as, go on from their last snapshot. */
@Module({ providers: [StateLossReconciler] })
export class StateLossModule {}
