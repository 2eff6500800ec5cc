import { type MachineConfig, type StartFrom } from '@corral/contracts';
import { type Preparation } from './preparation.ts';

/** What a waiting process may go through before it is needed, and for whom it then is. */
export interface Rehearsal {
  /** Who is like the rehearsed machine: of the same image, with the same memory. */
  readonly likeness: string;
  /** The start to go through; undefined where only a process that went through one is wanted. */
  readonly start: { readonly config: Omit<MachineConfig, 'directory' | 'socketPath'>; readonly from: StartFrom } | undefined;
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
    likeness: `${config.imageDigest} ${config.memoryMiB}`,
    start: startedFrom.type === 'GoldenSnapshot' ? { config: { ...alike, ...NOBODY }, from } : undefined,
  };
}
