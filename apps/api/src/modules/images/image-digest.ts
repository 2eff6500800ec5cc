import { createHash } from 'node:crypto';
import { ARTIFACT_ROLES, MIB, type StoredArtifacts, type VirtualMachineImageSpec } from '@corral/contracts';

/**
 * SHA-256 over canonical JSON (sorted keys, no spaces) of everything a guest can see of its image. Two images with one
 * digest boot alike, so they may share golden snapshots; whatever changes the digest makes old ones useless.
 */
export function imageDigest(spec: VirtualMachineImageSpec, artifacts: StoredArtifacts): string {
  const seen = {
    acpi: spec.acpi,
    artifacts: Object.fromEntries(ARTIFACT_ROLES.filter((role) => artifacts[role]).sort().map((role) => [role, artifacts[role]?.sha256])),
    commandLine: spec.commandLine,
    guestAgent: spec.guestAgent,
  };
  return createHash('sha256').update(JSON.stringify(seen)).digest('hex');
}

/** v86 puts an initrd at 64 MiB, so a machine needs that much and the initrd beside what the kernel unpacks it into. */
const INITRD_ADDRESS_BYTES = 64 * MIB;

/** The least memory with which the artifacts alone let a machine boot, in MiB. */
export function minimumMemoryMiB(artifacts: StoredArtifacts): number {
  return artifacts.initrd ? Math.ceil((INITRD_ADDRESS_BYTES + artifacts.initrd.sizeBytes) / MIB) + 1 : 0;
}
