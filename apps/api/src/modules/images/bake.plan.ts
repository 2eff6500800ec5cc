import { createHash } from 'node:crypto';
import {
  findCondition,
  MIB,
  parseBytes,
  type GoldenSnapshot,
  type Node,
  type VirtualMachine,
  type VirtualMachineImage,
  type VirtualMachineSnapshot,
} from '@corral/contracts';

/** A boot that is not Ready by then has failed. Stock kernels on a busy host take a minute. */
export const BAKE_DEADLINE_MS = 10 * 60_000;

/** One golden snapshot that should exist. The name tells everything it was made from, so an old one is never taken for it. */
export interface WantedBake {
  readonly name: string;
  readonly memoryMiB: number;
  readonly v86Build: string;
}

export interface BakeObservation {
  readonly image: VirtualMachineImage;
  readonly nodes: readonly Node[];
  /** The machines and snapshots that earlier steps of baking made. */
  readonly machines: readonly VirtualMachine[];
  readonly snapshots: readonly VirtualMachineSnapshot[];
  /** How long after Ready the guest is waited for to come to rest, at most: what its start-up has not done by then, every machine would do again. */
  readonly settleMs: number;
  readonly now: Date;
}

export type BakeStep =
  | { readonly type: 'CreateMachine'; readonly bake: WantedBake }
  | { readonly type: 'TakeSnapshot'; readonly bake: WantedBake; readonly machine: string }
  | { readonly type: 'DeleteMachine'; readonly name: string }
  | { readonly type: 'DeleteSnapshot'; readonly name: string }
  | { readonly type: 'Wait'; readonly delayMs: number }
  /** This attempt, named by the uid of what failed, is over: its machine and snapshot go, and another follows after a back-off. */
  | { readonly type: 'Fail'; readonly bake: WantedBake; readonly attempt: string; readonly message: string };

export interface BakePlan {
  /** What status.goldenSnapshots should be now. */
  readonly golden: readonly GoldenSnapshot[];
  readonly missing: readonly WantedBake[];
  readonly steps: readonly BakeStep[];
}

/** Whether there is something to bake at all: only a guest with the agent can say that it is up, and be told who it is afterwards. */
export const isBakeable = ({ spec, metadata }: VirtualMachineImage): boolean => spec?.guestAgent === true && metadata.deletionTimestamp === undefined;

/**
 * What is baked, what is missing, and what to do next. While it is not known what is wanted (the image is being fetched
 * anew, no node has registered) everything stays as it is.
 */
export function planBake(observation: BakeObservation): BakePlan | undefined {
  const { image, nodes } = observation;
  const wanted = isBakeable(image) ? wantedBakes(image, nodes) : [];
  if (!wanted) return undefined;
  const golden: GoldenSnapshot[] = [];
  const missing: WantedBake[] = [];
  const steps: BakeStep[] = unwanted(observation, wanted);
  for (const bake of wanted) {
    const snapshot = observation.snapshots.find(({ metadata }) => metadata.name === bake.name);
    const machine = observation.machines.find(({ metadata }) => metadata.name === bake.name);
    const entry = snapshot && goldenOf(bake, snapshot);
    if (!entry) missing.push(bake);
    else golden.push(entry);
    steps.push(...(entry ? cleanUp(machine) : planOne(bake, machine, snapshot, observation)));
  }
  return { golden, missing, steps };
}

function wantedBakes({ spec, status, metadata }: VirtualMachineImage, nodes: readonly Node[]): WantedBake[] | undefined {
  const bytes = parseBytes(spec?.memory ?? '');
  const ready = findCondition(status?.conditions, 'Ready');
  const digest = status?.digest;
  const builds = new Set(nodes.flatMap((node) => node.status?.corral?.v86Build ?? []));
  if (ready?.status !== 'True' || ready.observedGeneration !== metadata.generation || digest === undefined || bytes === undefined || builds.size === 0) return undefined;
  const memoryMiB = Math.ceil(bytes / MIB);
  return [...builds].sort().map((v86Build) => ({ name: bakeName(metadata.uid, digest, memoryMiB, v86Build), memoryMiB, v86Build }));
}

function bakeName(...parts: readonly (string | number)[]): string {
  return `golden-${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24)}`;
}

function goldenOf({ memoryMiB, v86Build }: WantedBake, { status, metadata }: VirtualMachineSnapshot): GoldenSnapshot | undefined {
  if (metadata.deletionTimestamp !== undefined || findCondition(status?.conditions, 'Ready')?.status !== 'True') return undefined;
  if (status?.digest === undefined || status.manifestKey === undefined) return undefined;
  return { memoryMiB, v86Build, digest: status.digest, manifestKey: status.manifestKey, sizeBytes: status.sizeBytes ?? 0 };
}

function unwanted({ machines, snapshots }: BakeObservation, wanted: readonly WantedBake[]): BakeStep[] {
  const isWanted = (name: string): boolean => wanted.some((bake) => bake.name === name);
  const stale = <T extends { readonly metadata: VirtualMachine['metadata'] }>(objects: readonly T[]): T[] =>
    objects.filter(({ metadata }) => !isWanted(metadata.name) && metadata.deletionTimestamp === undefined);
  return [
    ...stale(machines).map(({ metadata }): BakeStep => ({ type: 'DeleteMachine', name: metadata.name })),
    ...stale(snapshots).map(({ metadata }): BakeStep => ({ type: 'DeleteSnapshot', name: metadata.name })),
  ];
}

function cleanUp(machine: VirtualMachine | undefined): BakeStep[] {
  return machine && machine.metadata.deletionTimestamp === undefined ? [{ type: 'DeleteMachine', name: machine.metadata.name }] : [];
}

function planOne(bake: WantedBake, machine: VirtualMachine | undefined, snapshot: VirtualMachineSnapshot | undefined, { nodes, settleMs, now }: BakeObservation): BakeStep[] {
  // What an earlier attempt left has to be gone before the next: its name is the same.
  if (machine?.metadata.deletionTimestamp !== undefined || snapshot?.metadata.deletionTimestamp !== undefined) return [];
  if (snapshot) {
    if (snapshot.status?.completedAt === undefined) return [];
    const ready = findCondition(snapshot.status.conditions, 'Ready');
    return [{ type: 'Fail', bake, attempt: snapshot.metadata.uid, message: `The snapshot failed: ${ready?.reason ?? 'Unknown'}: ${ready?.message ?? ''}` }];
  }
  // A build whose nodes are all away stays wanted, but nobody could bake it now.
  if (!machine) return nodes.some((node) => isReadyWith(node, bake.v86Build)) ? [{ type: 'CreateMachine', bake }] : [];

  const end = machine.status?.lastTermination;
  if (end) return [{ type: 'Fail', bake, attempt: machine.metadata.uid, message: `The machine ended: ${end.reason}: ${end.message}` }];
  const ready = findCondition(machine.status?.conditions, 'Ready');
  if (ready?.status === 'True') {
    const leftMs = machine.status?.idleSince === undefined ? Date.parse(ready.lastTransitionTime) + settleMs - now.getTime() : 0;
    return leftMs > 0 ? [{ type: 'Wait', delayMs: leftMs }] : [{ type: 'TakeSnapshot', bake, machine: machine.metadata.name }];
  }
  const leftMs = Date.parse(machine.metadata.creationTimestamp) + BAKE_DEADLINE_MS - now.getTime();
  if (leftMs > 0) return [{ type: 'Wait', delayMs: leftMs }];
  const scheduled = findCondition(machine.status?.conditions, 'Scheduled');
  const why = scheduled?.status === 'False' ? `it was not placed: ${scheduled.message}` : 'its guest agent never answered';
  return [{ type: 'Fail', bake, attempt: machine.metadata.uid, message: `The machine was not Ready within ${BAKE_DEADLINE_MS / 60_000} minutes: ${why}.` }];
}

const isReadyWith = ({ status }: Node, v86Build: string): boolean =>
  status?.corral?.v86Build === v86Build && findCondition(status.conditions, 'Ready')?.status === 'True';
