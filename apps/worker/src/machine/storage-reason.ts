import { type ObjectStoreFailure } from '@corral/object-store';

export type StorageReason = 'StorageUnreachable' | 'StorageFull' | 'DigestMismatch' | 'ObjectMissing' | 'ObjectExists';

/** What conditions call a failure of the object store. */
export function storageReason({ reason }: ObjectStoreFailure): StorageReason {
  switch (reason) {
    case 'Full':
      return 'StorageFull';
    case 'Corrupt':
      return 'DigestMismatch';
    case 'Conflict':
      return 'ObjectExists';
    case 'NotFound':
      return 'ObjectMissing';
    case 'Unreachable':
    case 'Denied':
    case 'Timeout':
      return 'StorageUnreachable';
  }
}
