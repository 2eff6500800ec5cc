import { Global, Module } from '@nestjs/common';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { counted } from '../../platform/objects/counted-writes.ts';
import { Admission } from '../../platform/objects/admission.ts';
import { ChargedStore } from '../quota/charged-store.ts';
import { Idempotency } from '../idempotency/idempotency.ts';
import { IdempotencySweep } from '../idempotency/idempotency.sweep.ts';
import { LimitRangeIndex, QuotaIndex } from '../quota/quota-index.ts';
import { ContinueTokens } from './continue-tokens.ts';
import { DiscoveryRoutes } from './discovery.routes.ts';
import { GarbageCollector } from './garbage-collector.ts';
import { LiveGateway } from './live.gateway.ts';
import { Lists } from './lists.ts';
import { ResourceRoutes } from './resource.routes.ts';
import { Resources } from './resources.service.ts';
import { Waits } from './waits.ts';
import { Watches } from './watches.ts';

/** Every kind as an API inside this process: the ObjectClient and the admission registry are for all modules. */
@Global()
@Module({
  providers: [
    Admission,
    ContinueTokens,
    Lists,
    Watches,
    QuotaIndex,
    LimitRangeIndex,
    ChargedStore,
    Resources,
    { provide: OBJECT_CLIENT, useFactory: (resources: Resources) => counted(resources.client), inject: [Resources] },
  ],
  exports: [Admission, Resources, Watches, QuotaIndex, LimitRangeIndex, ChargedStore, OBJECT_CLIENT],
})
export class ResourcesModule {}

/** The kinds over HTTP: generic REST, watches, discovery, OpenAPI and the console's socket. */
@Module({ providers: [Idempotency, IdempotencySweep, Waits, ResourceRoutes, DiscoveryRoutes, LiveGateway], exports: [Idempotency] })
export class ResourceRoutesModule {}

/** Owners and what they own. */
@Module({ providers: [GarbageCollector] })
export class GarbageCollectionModule {}
