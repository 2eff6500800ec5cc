import {
  ARTIFACT_ROLES,
  type ArtifactRole,
  findCondition,
  type GoldenSnapshot,
  MIB,
  type ObjectClient,
  parseBytes,
  Problem,
  startSourceOf,
  type StartFrom,
  type VirtualMachine,
  type VirtualMachineImage,
  virtualMachineImages,
  virtualMachineSnapshots,
  type VmFork,
} from '@corral/contracts';
import { type Layer, layersOf, SnapshotError, type SnapshotManifest } from '@corral/memory';
import { ObjectStoreFailure } from '@corral/object-store';
import { type StartedFrom, type StartOrigin } from '@corral/vm-lifecycle';
import { type BaseImages, type BaseSource } from '../bases/base-images.ts';
import { baseSourceOf } from '../bases/base-source.ts';
import { type WorkingSet } from '../bases/working-set.ts';
import { type ForkMoments, type HeldMoment, type KeptMoment } from '../snapshots/fork-moments.ts';
import { type FrozenMoment } from '../frozen/frozen-moment.ts';
import { type ArtifactCache } from './artifact-cache.ts';
import { type MachineFolder, type MachineRecord, RecordUnreadable } from './machine-folder.ts';
import { type LayeredManifest } from './machine.lineage.ts';
import { storageReason } from './storage-reason.ts';
import { type PackCache } from './pack-cache.ts';
import { type CachedSnapshot, lendPacks, type SnapshotCache, type SnapshotSource } from './snapshot-cache.ts';

/** Why a machine cannot start now. Permanent when waiting alone will not help. */
export class Unpreparable extends Error {
  override readonly name = 'Unpreparable';
  readonly reason: string;
  readonly permanent: boolean;
  constructor(
    reason: string,
    message: string,
    options: { readonly permanent?: boolean; readonly cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.reason = reason;
    this.permanent = options.permanent ?? false;
  }
}

/** Everything a start needs, on this node. */
export interface Preparation {
  readonly origin: StartOrigin;
  readonly record: MachineRecord;
  readonly artifactPaths: Readonly<Partial<Record<ArtifactRole, string>>>;
  readonly from: StartFrom;
  /** What it starts from lies on. */
  readonly manifest?: LayeredManifest;
  /** What it starts from, where that was frozen here. */
  readonly moment?: FrozenMoment;
  readonly startedFrom: StartedFrom;
  /** The RAM it begins with, where other machines may share it. */
  readonly base?: BaseSource;
}

export interface PreparerOptions {
  readonly nodeName: string;
  readonly forks: Pick<ForkMoments, 'find'>;
  readonly client: ObjectClient;
  readonly artifacts: ArtifactCache;
  readonly snapshots: SnapshotCache;
  readonly bases: Pick<BaseImages, 'has' | 'prepare'>;
  readonly packs: PackCache;
  /** A base that is read in parts; undefined where this host, or the snapshot, cannot have machines run on one. */
  remote(manifest: SnapshotManifest, workingSet: WorkingSet | undefined): BaseSource | undefined;
  /** Beside a snapshot. */
  workingSet(manifestKey: string, pack: string): WorkingSet;
  readonly v86Build: string;
}

/** What a fork begins with, of what this node holds. */
type HeldPreparation = Pick<Preparation, 'from' | 'manifest' | 'moment' | 'base'> & { readonly startedFrom: Pick<StartedFrom, 'digest'> };

type BroughtSnapshot = CachedSnapshot & { readonly base: Pick<Preparation, 'base'> };

/** A machine stands still for milliseconds, and what changed in it is written in a second or two. */
const MOMENT_WAIT_MS = 20_000;

/** Decides what a machine starts from and brings it to this node. */
export class Preparer {
  readonly #options: PreparerOptions;

  constructor(options: PreparerOptions) {
    this.#options = options;
  }

  /** Throws Unpreparable, and nothing else. */
  async prepare(vm: VirtualMachine, origin: StartOrigin, folder: MachineFolder): Promise<Preparation> {
    try {
      return origin === 'Source' ? await this.#fromSource(vm, folder) : await this.#fromFolder(vm, origin, folder);
    } catch (error) {
      throw asUnpreparable(error);
    }
  }

  /** Continues with what lies in the machine's folder, on the very artifacts it began with. */
  async #fromFolder(vm: VirtualMachine, origin: 'Suspended' | 'Disk', folder: MachineFolder): Promise<Preparation> {
    const record = await folder.record().catch(async (error: unknown) => {
      if (!(error instanceof RecordUnreadable)) throw error;
      if (await folder.hasWrittenDisk()) throw unreadable('delete the machine and create it again', error);
      if (vm.spec?.restartPolicy === 'Never')
        throw unreadable('set restartPolicy to Always to start it from its source, or delete it', error);
      return 'Unreadable' as const;
    });
    // Nothing of it is left but what it was doing, which a restart may lose.
    if (record === 'Unreadable') return this.#fromSource(vm, folder);
    // Without the record nobody knows which disk the overlay lies on.
    if (!record)
      throw new Unpreparable('MachineFolderLost', 'The machine’s record on this node is gone', { permanent: true });
    const manifest = origin === 'Suspended' ? await folder.suspendedManifest() : undefined;
    const [artifactPaths] = await Promise.all([this.#fetch(record), manifest && this.#bringPacks(folder.suspendedPath, manifest)]);
    const from = origin === 'Suspended' ? this.#from(folder.suspendedPath) : ({ type: 'Boot' } as const);
    const base = manifest && (await this.#sharedBase(manifest));
    return {
      origin,
      record,
      artifactPaths,
      from,
      ...(manifest ? { manifest } : {}),
      ...(base ? { base } : {}),
      startedFrom: {
        type: origin === 'Suspended' ? 'Suspended' : 'Boot',
        name: origin === 'Suspended' ? vm.metadata.name : record.image,
      },
    };
  }

  #fromSource(vm: VirtualMachine, folder: MachineFolder): Promise<Preparation> {
    const { continueFrom } = vm.status ?? {};
    // What a machine had before it left its node is never replaced by its source: better not at all.
    if (continueFrom) return this.#fromSnapshot(vm, continueFrom.snapshot);
    const { image, snapshot, virtualMachine } = startSourceOf(vm);
    if (image !== undefined) return this.#fromImage(vm, image, folder);
    if (snapshot !== undefined) return this.#fromSnapshot(vm, snapshot);
    if (virtualMachine !== undefined && vm.status?.fork) return this.#fromFork(vm, vm.status.fork);
    throw new Unpreparable('SourceMissing', 'spec.source names nothing to start from', { permanent: true });
  }

  /** From its own last snapshot, where it has run and has one; else from the moment it was forked at, here or through the object store. */
  async #fromFork(vm: VirtualMachine, fork: VmFork): Promise<Preparation> {
    const { client, nodeName, forks } = this.#options;
    const own = hasRun(vm) ? await this.#ownSnapshot(vm) : undefined;
    if (own !== undefined) return this.#fromSnapshot(vm, own);
    const moment = await client.get(virtualMachineSnapshots, vm.metadata.namespace, fork.snapshot);
    if (moment?.metadata.deletionTimestamp !== undefined || !moment) return this.#withoutMoment(vm, fork);
    const { status } = moment;
    const ready = findCondition(status?.conditions, 'Ready');
    if (status?.completedAt !== undefined && ready?.status !== 'True') {
      if (hasRun(vm)) this.#withoutMoment(vm, fork);
      throw new Unpreparable('ForkFailed', `The moment of "${fork.virtualMachine}" could not be kept: ${ready?.reason ?? ''}: ${ready?.message ?? ''}`, { permanent: true });
    }
    if (status?.virtualMachineUid !== fork.uid || (status.incarnation ?? fork.incarnation) !== fork.incarnation) {
      throw new Unpreparable('ForkSourceChanged', `"${fork.virtualMachine}" ended before its moment was kept; it is another life of it that runs`, { permanent: true });
    }
    const held = moment.spec?.nodeName === nodeName ? await forks.find(moment.metadata.uid, MOMENT_WAIT_MS) : undefined;
    if (held) return this.#fromHeld(fork, held);
    if (ready?.status === 'True') return this.#fromSnapshot(vm, fork.snapshot);
    throw new Unpreparable('WaitingForMoment', `The moment of "${fork.virtualMachine}" is on its way from node ${moment.spec?.nodeName ?? ''}`);
  }

  async #fromHeld(fork: VmFork, held: HeldMoment): Promise<Preparation> {
    const { incarnation, record } = held;
    if (incarnation !== fork.incarnation) throw new Unpreparable('ForkSourceChanged', `"${fork.virtualMachine}" ended before its moment was kept`, { permanent: true });
    const [artifactPaths, ready] = await Promise.all([this.#fetch(record), held.type === 'Frozen' ? this.#fromFrozen(held.moment) : this.#fromKept(held)]);
    return { origin: 'Source', record, artifactPaths, ...ready, startedFrom: { type: 'Fork', name: fork.virtualMachine, ...ready.startedFrom } };
  }

  /** Its pages are mapped over the base that its source lies on. */
  async #fromFrozen(moment: FrozenMoment): Promise<HeldPreparation> {
    const { packs, bases } = this.#options;
    const base = moment.hasBase ? baseSourceOf({ manifest: { machine: moment.machine, ...moment.liesOn }, packPath: ({ sha256 }: Layer) => packs.pathOf(sha256) }) : undefined;
    // Its source may have ended, and a pack been made room of since.
    if (base && !bases.has(base)) await packs.ensure(moment.layers.filter(({ sha256 }) => sha256 === base.sha256));
    const isHeld = !base || (await bases.prepare(base, { mayBePartial: true }));
    // A host without room for a base copies what the moment lies on.
    if (!isHeld) {
      const { directory, manifest, taken } = await moment.packed();
      return this.#fromKept({ directory, manifest, digest: taken.manifest.sha256 });
    }
    return { from: moment.from, manifest: moment.liesOn, moment, startedFrom: {}, ...(base ? { base } : {}) };
  }

  /** Of a machine that slept. */
  async #fromKept({ directory, manifest, digest }: Pick<KeptMoment, 'directory' | 'manifest' | 'digest'>): Promise<HeldPreparation> {
    const { packs, bases } = this.#options;
    await packs.ensure(layersOf(manifest));
    const base = baseSourceOf({ manifest, packPath: ({ sha256 }: Layer) => packs.pathOf(sha256) });
    if (base) await bases.prepare(base);
    return { from: this.#from(directory), manifest, startedFrom: { digest }, ...(base ? { base } : {}) };
  }

  /** Nothing is left of what it was, and something else in its place would pass for it. */
  #withoutMoment(vm: VirtualMachine, fork: VmFork): never {
    const lost = hasRun(vm) ? 'What it held is lost, there is no snapshot of it, and the' : 'The';
    throw new Unpreparable('ForkMomentGone', `${lost} moment of "${fork.virtualMachine}" that it began with is gone: fork it again`, { permanent: true });
  }

  /** The last snapshot of a machine that has run, as it was stored; undefined where there is none any more. */
  async #ownSnapshot({ metadata, status }: VirtualMachine): Promise<string | undefined> {
    const { snapshot: name, digest } = status?.lineage ?? {};
    const snapshot = name === undefined ? undefined : await this.#options.client.get(virtualMachineSnapshots, metadata.namespace, name);
    return snapshot?.metadata.deletionTimestamp === undefined && snapshot?.status?.digest === digest ? snapshot?.metadata.name : undefined;
  }

  async #fromImage(vm: VirtualMachine, name: string, folder: MachineFolder): Promise<Preparation> {
    const image = await this.#options.client.get(virtualMachineImages, undefined, name);
    if (!image) return this.#fromGoneImage(name, folder);
    requireReady(image);
    const record = recordOf(image, memoryMiBOf(vm.spec?.memory ?? image.spec?.memory));
    const golden = image.status?.goldenSnapshots?.find(
      ({ memoryMiB, v86Build }) => memoryMiB === record.memoryMiB && v86Build === this.#options.v86Build,
    );
    const wanted = vm.spec?.bootPolicy === 'Cold' ? undefined : golden;
    const [artifactPaths, cached] = await Promise.all([this.#fetch(record), wanted && this.#goldenUnlessLost(wanted)]);
    if (!wanted || !cached) {
      return { origin: 'Source', record, artifactPaths, from: { type: 'Boot' }, startedFrom: { type: 'Boot', name } };
    }
    return {
      origin: 'Source',
      record,
      artifactPaths,
      from: this.#from(cached.directory),
      manifest: cached.manifest,
      startedFrom: { type: 'GoldenSnapshot', name, digest: wanted.digest },
      ...cached.base,
    };
  }

  /** What started once starts again without its image: its artifacts are kept for it. */
  async #fromGoneImage(name: string, folder: MachineFolder): Promise<Preparation> {
    const record = await folder.record();
    if (!record) throw new Unpreparable('ImageNotFound', `VirtualMachineImage "${name}" does not exist`);
    const artifactPaths = await this.#fetch(record);
    return { origin: 'Source', record, artifactPaths, from: { type: 'Boot' }, startedFrom: { type: 'Boot', name } };
  }

  /** A golden snapshot only saves time: where its bytes are lost or damaged for good, machines boot. */
  async #goldenUnlessLost(golden: GoldenSnapshot): Promise<BroughtSnapshot | undefined> {
    try {
      return await this.#bring(golden);
    } catch (error) {
      const isLost = error instanceof ObjectStoreFailure && (error.reason === 'NotFound' || error.reason === 'Corrupt');
      if (isLost || error instanceof SnapshotError) return undefined;
      throw error;
    }
  }

  async #fromSnapshot(vm: VirtualMachine, name: string): Promise<Preparation> {
    const { client, v86Build } = this.#options;
    const snapshot = await client.get(virtualMachineSnapshots, vm.metadata.namespace, name);
    if (!snapshot) throw new Unpreparable('SnapshotNotFound', `VirtualMachineSnapshot "${name}" does not exist`);
    const ready = findCondition(snapshot.status?.conditions, 'Ready');
    const { digest, manifestKey, memoryMiB, image, imageDigest, imageParts } = snapshot.status ?? {};
    if (ready?.status !== 'True') {
      throw new Unpreparable(
        'SnapshotNotReady',
        `VirtualMachineSnapshot "${name}" is not Ready${ready ? `: ${ready.reason}` : ''}`,
      );
    }
    const isWhole =
      digest && manifestKey && memoryMiB && image !== undefined && imageDigest !== undefined && imageParts;
    if (!isWhole) {
      throw new Unpreparable(
        'SnapshotIncompatible',
        `VirtualMachineSnapshot "${name}" was taken by an older version of Corral, which did not keep what it was made of: take another`,
        { permanent: true },
      );
    }
    if (snapshot.status?.v86Build !== v86Build) {
      throw new Unpreparable(
        'SnapshotIncompatible',
        `The snapshot was taken with v86 build ${snapshot.status?.v86Build ?? 'unknown'}; this node runs ${v86Build}`,
        { permanent: true },
      );
    }
    const wanted = vm.spec?.memory === undefined ? memoryMiB : memoryMiBOf(vm.spec.memory);
    if (wanted !== memoryMiB) {
      throw new Unpreparable(
        'SnapshotIncompatible',
        `The snapshot has ${memoryMiB}Mi of memory; the machine asks for ${wanted}Mi`,
        { permanent: true },
      );
    }
    // The image may have changed or gone since; the snapshot lies on what it was.
    const record = { image, imageDigest, memoryMiB, ...imageParts };
    const [artifactPaths, cached] = await Promise.all([
      this.#fetch(record),
      this.#bring({ digest, manifestKey }),
    ]);
    return {
      origin: 'Source',
      record,
      artifactPaths,
      from: this.#from(cached.directory),
      manifest: cached.manifest,
      startedFrom: { type: 'Snapshot', name, digest },
      ...cached.base,
    };
  }

  /**
   * A snapshot on this node, and its base in memory. Where the base comes from afar, the machine begins before all of it is here.
   * Throws ObjectStoreFailure or SnapshotError.
   */
  async #bring(source: SnapshotSource): Promise<BroughtSnapshot> {
    const { snapshots, packs, bases, remote } = this.#options;
    const described = await snapshots.describe(source);
    const { manifest } = described;
    const [lowest] = manifest.memory.layers;
    // What is over a base is not known to those who only see the base.
    const workingSet = lowest && manifest.memory.layers.length === 1 ? this.#options.workingSet(source.manifestKey, lowest.sha256) : undefined;
    const afar = remote(manifest, workingSet);
    if (lowest && afar && !(await packs.has(lowest))) {
      const isOther = ({ sha256 }: Layer): boolean => sha256 !== lowest.sha256;
      const [cached, isHeld] = await Promise.all([snapshots.complete(described, isOther), bases.prepare(afar, { mayBePartial: true })]);
      if (isHeld) return { ...cached, base: { base: afar } };
    }
    const cached = await snapshots.complete(described);
    const base = baseSourceOf(cached, workingSet);
    if (base) await bases.prepare(base);
    return { ...cached, base: base ? { base } : {} };
  }

  /** What a suspended state lies on, where that is a base others may have as well. */
  async #sharedBase(manifest: SnapshotManifest): Promise<BaseSource | undefined> {
    const { packs, bases } = this.#options;
    if (manifest.memory.layers.length < 2) return undefined;
    const base = baseSourceOf({ manifest, packPath: ({ sha256 }) => packs.pathOf(sha256) });
    if (base) await bases.prepare(base);
    return base;
  }

  /** Of a suspended state. One of version 1 has them in its folder, and what is wrong with them there shows when it is read. */
  async #bringPacks(directory: string, manifest: SnapshotManifest): Promise<void> {
    const { packs } = this.#options;
    await lendPacks(directory, manifest, packs);
    if (manifest.formatVersion !== 1) await packs.ensure(layersOf(manifest));
  }

  #from(directory: string): StartFrom {
    return { type: 'Snapshot', directory, packs: this.#options.packs.directory };
  }

  async #fetch(record: MachineRecord): Promise<Partial<Record<ArtifactRole, string>>> {
    const paths: Partial<Record<ArtifactRole, string>> = {};
    await Promise.all(
      ARTIFACT_ROLES.map(async (role) => {
        const artifact = record.artifacts[role];
        if (artifact) paths[role] = await this.#options.artifacts.ensure(artifact);
      }),
    );
    return paths;
  }
}


const hasRun = ({ status }: VirtualMachine): boolean => (status?.incarnation ?? 0) > 0;

const unreadable = (remedy: string, cause: RecordUnreadable): Unpreparable =>
  new Unpreparable('RecordUnreadable', `${cause.message} and cannot be read: ${remedy}`, { permanent: true, cause });

function requireReady({ metadata, status }: VirtualMachineImage): void {
  if (status?.artifacts && status.digest !== undefined) return;
  const ready = findCondition(status?.conditions, 'Ready');
  throw new Unpreparable(
    'ImageNotReady',
    `VirtualMachineImage "${metadata.name}" is not Ready${ready ? `: ${ready.reason}` : ''}`,
  );
}

/** What machines of an image are made of. */
export function recordOf({ metadata, spec, status }: VirtualMachineImage, memoryMiB: number): MachineRecord {
  return {
    image: metadata.name,
    imageDigest: status?.digest ?? '',
    memoryMiB,
    artifacts: status?.artifacts ?? {},
    commandLine: spec?.commandLine ?? '',
    guestAgent: spec?.guestAgent ?? false,
    acpi: spec?.acpi ?? false,
    ...(spec?.class === undefined ? {} : { class: spec.class }),
  };
}

function memoryMiBOf(quantity: string | undefined): number {
  const bytes = quantity === undefined ? undefined : parseBytes(quantity);
  if (bytes === undefined)
    throw new Unpreparable('MemoryInvalid', `"${quantity ?? ''}" is not a quantity of memory`, { permanent: true });
  return Math.floor(bytes / MIB);
}

function asUnpreparable(error: unknown): Unpreparable {
  if (error instanceof Unpreparable) return error;
  if (error instanceof RecordUnreadable) return unreadable('delete the machine and create it again', error);
  if (error instanceof ObjectStoreFailure)
    return new Unpreparable(storageReason(error), error.message, { cause: error });
  if (error instanceof SnapshotError)
    return new Unpreparable(error.reason, error.message, {
      permanent: error.reason !== 'SnapshotUnreadable',
      cause: error,
    });
  if (error instanceof Problem) return new Unpreparable('ApiUnreachable', error.message, { cause: error });
  if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
    return new Unpreparable('DiskFull', 'The node has no disk space left for what the machine needs', { cause: error });
  return new Unpreparable('PreparationFailed', 'What the machine needs could not be fetched; the node’s log says why', {
    cause: error,
  });
}
