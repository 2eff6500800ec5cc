import { Module } from '@nestjs/common';
import { QuotaReconciler } from './quota.reconciler.ts';

/** Keeps quotas' figures true. Charging them is part of every write: ChargedStore. */
@Module({ providers: [QuotaReconciler] })
export class QuotasModule {}
