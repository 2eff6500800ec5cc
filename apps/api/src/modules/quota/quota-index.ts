import { Inject, Injectable } from '@nestjs/common';
import { limitRanges, resourceQuotas, type LimitRange, type ResourceQuota } from '@corral/contracts';
import { CachedStore } from '../../platform/database/cached-store.ts';
import { Watches } from '../resources/watches.ts';
import { NamespaceRules } from './namespace-rules.ts';

/** The quotas of each namespace. A charge goes by compare-and-set, and reads anew when that fails. */
@Injectable()
export class QuotaIndex extends NamespaceRules<ResourceQuota> {
  constructor(@Inject(Watches) watches: Watches, @Inject(CachedStore) store: CachedStore) {
    super(resourceQuotas, watches, store);
  }
}

/** The limit ranges of each namespace. */
@Injectable()
export class LimitRangeIndex extends NamespaceRules<LimitRange> {
  constructor(@Inject(Watches) watches: Watches, @Inject(CachedStore) store: CachedStore) {
    super(limitRanges, watches, store);
  }
}
