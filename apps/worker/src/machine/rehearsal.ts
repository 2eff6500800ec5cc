import { type MachineConfig, type StartFrom } from '@corral/contracts';
import { type MachineRecord } from './machine-folder.ts';
import { type Preparation } from './preparation.ts';

/** What a waiting process may go through before it is needed, and for whom it then is. */
export interface Rehearsal {
  /** Who is like the rehearsed machine: of the same image, with the same memory. */
  readonly likeness: string;
  /** The start to go through; undefined where only a process that went through one is wanted. */
  readonly start: { readonly config: Omit<MachineConfig, 'directory' | 'socketPath'>; readonly from: StartFrom } | undefined;
}

/** What a machine of an image will be started with. */
export interface ExpectedStart extends Pick<Preparation, 'artifactPaths' | 'from'>, Pick<MachineConfig, 'firmware' | 'swapRedisUrl'> {
  readonly record: MachineRecord;
}

const NOBODY = { uid: '00000000-0000-0000-0000-000000000000', incarnation: 0, hostname: 'rehearsal', macAddress: '02:00:00:00:00:00' };

/**
 * The rehearsal of a start. Only golden snapshots are rehearsed: they hold what the image's author put there and nothing of
 * any tenant. And a process that rehearsed is good for machines of that image alone, since its guest has run in it.
 */
export function rehearsalOf(config: MachineConfig, { from, startedFrom }: Pick<Preparation, 'from' | 'startedFrom'>): Rehearsal | undefined {
  if (from.type === 'Boot') return undefined;
  const { directory: _directory, socketPath: _socketPath, ...alike } = config;
  return {
    likeness: likenessOf(config),
    start: startedFrom.type === 'GoldenSnapshot' ? { config: { ...alike, ...NOBODY }, from } : undefined,
  };
}

/** The same before the first machine of an image: a start from its golden snapshot `from`. */
export function expectedRehearsal({ record, artifactPaths, from, ...place }: ExpectedStart): Rehearsal {
  const { memoryMiB, commandLine, imageDigest, guestAgent, acpi } = record;
  const config = { ...NOBODY, namespace: '', memoryMiB, commandLine, artifacts: artifactPaths, imageDigest, guestAgent, acpi, ...place };
  return { likeness: likenessOf(config), start: { config, from } };
}

const likenessOf = ({ imageDigest, memoryMiB }: Pick<MachineConfig, 'imageDigest' | 'memoryMiB'>): string => `${imageDigest} ${memoryMiB}`;
