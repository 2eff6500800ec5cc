import { createHash } from 'node:crypto';
import { MIB, parseBytes, type MachineConfig, type VirtualMachine } from '@corral/contracts';
import { type Run } from '@corral/vm-lifecycle';
import { type Preparation } from './preparation.ts';

/** What a VM process is told of its machine. */
export function machineConfigOf(
  { metadata, spec }: VirtualMachine,
  { incarnation }: Run,
  { record, artifactPaths }: Preparation,
  place: Pick<MachineConfig, 'firmware' | 'directory' | 'socketPath' | 'swapRedisUrl'>,
): MachineConfig {
  const { memoryMiB, commandLine, imageDigest, guestAgent, acpi } = record;
  const residentBytes = parseBytes(spec?.residentMemory ?? '');
  return {
    uid: metadata.uid,
    namespace: metadata.namespace ?? '',
    incarnation,
    hostname: metadata.name,
    macAddress: macAddressOf(metadata.uid),
    memoryMiB,
    commandLine,
    artifacts: artifactPaths,
    imageDigest,
    guestAgent,
    acpi,
    ...(residentBytes !== undefined && residentBytes < memoryMiB * MIB ? { memoryBudgetBytes: residentBytes } : {}),
    ...place,
  };
}

/** The same for all time, locally administered, and different for different machines. Source: IEEE 802, the U/L bit. */
export function macAddressOf(uid: string): string {
  const digest = createHash('sha256').update(uid).digest();
  return ['02', ...[...digest.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}
