/** S3 as Corral uses it: streams in and out, every byte verified, every wait bounded, every failure typed. */
export {
  ObjectStore,
  type ObjectStoreOptions,
  type PutOptions,
  type GetOptions,
  type StoredObject,
  type ObjectInfo,
} from './object-store.ts';
export { ObjectStoreFailure, type ObjectStoreFailureReason } from './failure.ts';
export { ObjectStoreConfig } from './config.ts';
