import { findCondition, type Condition, type VirtualMachineImage } from '@corral/contracts';

/** Why an image is not Ready. Reasons are stable: people and programs may match on them. */
export type ImageFailure =
  | 'DigestMismatch'
  | 'AddressRefused'
  | 'ArtifactMissing'
  | 'UnsupportedFormat'
  | 'TooLarge'
  | 'Unreachable'
  | 'StorageUnreachable'
  | `HttpStatus${number}`;

/** Failures that no waiting heals: the spec, or what it points to, must change first. An upload heals ArtifactMissing. */
const FINAL: ReadonlySet<string> = new Set<ImageFailure>(['DigestMismatch', 'AddressRefused', 'UnsupportedFormat', 'TooLarge']);

/** Whether machines from an image with this Ready condition can never start, until someone changes the image. */
export const hasFailedForGood = (ready: Pick<Condition, 'status' | 'reason'>): boolean => ready.status === 'False' && FINAL.has(ready.reason);

/** Whether the controller has said its last word about the image as its spec is now. */
export function isSettled({ metadata, status }: VirtualMachineImage): boolean {
  const ready = findCondition(status?.conditions, 'Ready');
  if (!ready || ready.observedGeneration !== metadata.generation) return false;
  return ready.status === 'True' || hasFailedForGood(ready);
}
