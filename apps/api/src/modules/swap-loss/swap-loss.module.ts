import { Module } from '@nestjs/common';
import { SwapLossReconciler } from './swap-loss.reconciler.ts';

/** Machines that lost a page of their memory go on from their last snapshot. */
@Module({ providers: [SwapLossReconciler] })
export class SwapLossModule {}
