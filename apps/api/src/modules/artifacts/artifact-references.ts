import {
  ARTIFACT_ROLES,
  startSourceOf,
  virtualMachineImages,
  virtualMachines,
  virtualMachineSnapshots,
  type ObjectClient,
  type StoredArtifacts,
  type VirtualMachine,
  type VirtualMachineImage,
  type VirtualMachineSnapshot,
} from '@corral/contracts';

const digestsIn = (artifacts: StoredArtifacts | undefined): string[] => Object.values(artifacts ?? {}).map(({ sha256 }) => sha256);

/** Every artifact an image has or asks for by digest. */
export function imageArtifacts({ spec, status }: VirtualMachineImage): string[] {
  const wanted = ARTIFACT_ROLES.flatMap((role) => {
    const artifact = spec?.[role];
    const uploaded = artifact?.url.startsWith('artifact:') ? [artifact.url.slice('artifact:'.length)] : [];
    return [...uploaded, ...(artifact?.sha256 === undefined ? [] : [artifact.sha256])];
  });
  return [...wanted, ...digestsIn(status?.artifacts)];
}

/** The objects that can need artifacts, as they are now. */
export interface ArtifactUsers {
  readonly images: readonly VirtualMachineImage[];
  readonly machines: readonly VirtualMachine[];
  readonly snapshots: readonly VirtualMachineSnapshot[];
}

export async function artifactUsers(objects: ObjectClient): Promise<ArtifactUsers> {
  const [images, machines, snapshots] = await Promise.all([objects.list(virtualMachineImages), objects.list(virtualMachines), objects.list(virtualMachineSnapshots)]);
  return { images: images.items, machines: machines.items, snapshots: snapshots.items };
}

/** SHA-256 of every artifact that an image has, or that a machine or snapshot needs to start again. */
export function namedArtifacts({ images, machines, snapshots }: ArtifactUsers): Set<string> {
  return new Set([...images.flatMap(imageArtifacts), ...[...machines, ...snapshots].flatMap(({ status }) => digestsIn(status?.imageParts?.artifacts))]);
}

/** What can go with an image that goes: what only it names, and nothing while a machine is about to start from it. */
export function artifactsToDelete(image: VirtualMachineImage, { images, machines, snapshots }: ArtifactUsers): string[] {
  const isStarting = machines.some((vm) => startSourceOf(vm).image === image.metadata.name && vm.status?.imageParts === undefined);
  if (isStarting) return [];
  const needed = namedArtifacts({ images: images.filter(({ metadata }) => metadata.uid !== image.metadata.uid), machines, snapshots });
  return [...new Set(imageArtifacts(image))].filter((sha256) => !needed.has(sha256));
}
