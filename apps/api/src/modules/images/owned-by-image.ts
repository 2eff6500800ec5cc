import { apiVersionOf, virtualMachineImages, type KubeObject, type OwnerReference, type VirtualMachineImage } from '@corral/contracts';

/** Where baking happens, out of every tenant's sight. */
export const BAKING_NAMESPACE = 'corral-system';

export function ownedBy({ metadata }: VirtualMachineImage): OwnerReference {
  return { apiVersion: apiVersionOf(virtualMachineImages), kind: virtualMachineImages.kind, name: metadata.name, uid: metadata.uid, controller: true };
}

/** The image an object was made for by baking; undefined for everybody else's objects. */
export function imageOwnerOf({ metadata }: KubeObject): OwnerReference | undefined {
  if (metadata.namespace !== BAKING_NAMESPACE) return undefined;
  return metadata.ownerReferences?.find(({ kind, apiVersion }) => kind === virtualMachineImages.kind && apiVersion === apiVersionOf(virtualMachineImages));
}
