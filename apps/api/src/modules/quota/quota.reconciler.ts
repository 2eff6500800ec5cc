import { Inject, Injectable } from '@nestjs/common';
import { sameJson } from '@corral/api-machinery';
import { systemClock } from '@corral/base';
import { resourceQuotas, type ObjectClient, type ObjectKey, type ResourceQuota } from '@corral/contracts';
import type { ReconcileResult } from '@corral/reconcile';
import { Counter } from 'prom-client';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { RequestMetrics } from '../../platform/telemetry/request-metrics.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { recount } from './recount.ts';

const RECOUNT_MS = 5 * 60_000;
/** Other API processes hear of a new quota a moment later: what they wrote meanwhile is found soon. */
const YOUNG_MS = 15_000;
const YOUNG_RECOUNT_MS = 3_000;

/** Counts anew what quotas say is used. Figures are kept by every write, so a correction is something to look into. */
@Injectable()
export class QuotaReconciler implements Reconciler {
  readonly name = 'quotas';
  readonly triggers: readonly Trigger[];
  readonly #known = new Set<string>();
  readonly #corrections: Counter;

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(RequestMetrics) { registry }: RequestMetrics,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    this.#corrections = new Counter({ name: 'corral_quota_corrections_total', help: 'Quotas whose figures were not what counting everything anew found.', registers: [registry] });
    // Every charge changes a quota; only what is new, or has other limits, needs a look.
    this.triggers = [on(resourceQuotas, (key, quota) => (quota && this.#callsForLook(quota) ? [key] : []))];
    reconcilers.add(this);
  }

  async reconcile({ namespace, name }: ObjectKey): Promise<ReconcileResult> {
    const quota = await this.objects.get(resourceQuotas, namespace, name);
    if (!quota) return DONE;
    const { status } = await recount(quota, async (kind, inNamespace) => (await this.objects.list(kind, { namespace: inNamespace })).items);
    // Refused when a charge came between: the figures counted are then old, and are counted again.
    if (status && !sameJson(status, quota.status)) {
      await this.objects.replaceStatus(resourceQuotas, { ...quota, status });
      this.#corrections.inc();
    }
    const isYoung = systemClock.now().getTime() - Date.parse(quota.metadata.creationTimestamp) < YOUNG_MS;
    return after(isYoung ? YOUNG_RECOUNT_MS : RECOUNT_MS);
  }

  #callsForLook({ metadata, spec, status }: ResourceQuota): boolean {
    if (this.#known.has(metadata.uid) && sameJson(spec?.hard, status?.hard)) return false;
    this.#known.add(metadata.uid);
    return true;
  }
}
