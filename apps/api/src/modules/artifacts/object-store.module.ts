import { Global, Module } from '@nestjs/common';
import { ObjectStore } from '@corral/object-store';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';
import { ArtifactStore } from './artifact.store.ts';
import { BucketSetup } from './bucket-setup.ts';

/** The object store, and the artifacts in it, for everyone in this process. */
@Global()
@Module({
  providers: [{ provide: ObjectStore, useFactory: (config: ApiConfig) => new ObjectStore(config.s3), inject: [API_CONFIG] }, ArtifactStore, BucketSetup],
  exports: [ObjectStore, ArtifactStore],
})
export class ObjectStoreModule {}
