import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findCondition, Problem, type SnapshotTaken, type VirtualMachineSnapshot } from '@corral/contracts';
import { pino } from 'pino';
import { ForkMoments } from './fork-moments.ts';
import { SnapshotConvergence, type SnapshotConvergenceOptions } from './snapshot-convergence.ts';

const KEY = { namespace: 'default', name: 'kept' };
const MANIFEST = { name: 'manifest.json', sha256: 'a'.repeat(64), sizeBytes: 2 };
const DEVICES = { name: 'devices.bin', sha256: 'b'.repeat(64), sizeBytes: 2 };
const TAKEN: SnapshotTaken = { pauseMs: 1, files: [DEVICES, MANIFEST], manifest: MANIFEST };
const LAYER = { sha256: 'c'.repeat(64), sizeBytes: 3, pieces: 1, key: `packs/corral-system/${'c'.repeat(64)}` };
const NEW: VirtualMachineSnapshot = {
  apiVersion: 'corral.dev/v1',
  kind: 'VirtualMachineSnapshot',
  metadata: { ...KEY, uid: 'uid', resourceVersion: '1', generation: 1, creationTimestamp: new Date().toISOString() },
  spec: { virtualMachine: 'demo', nodeName: 'worker-1' },
};

/** A node with one running machine, and an API that holds one snapshot of it, which others can change. */
class OneSnapshot {
  held: VirtualMachineSnapshot = NEW;
  incarnation = 1;
  elapsedMs = 0;
  taken: number[] = [];
  frozen = 0;
  record: () => Promise<undefined> = () => Promise.resolve(undefined);
  uploads = 0;
  stored: object[] = [];
  /** What the API knew to be needed when the store was first asked for anything. */
  namedAtFirstLook: readonly string[] | undefined;
  /** What happens while the upload is under way. */
  meanwhile: () => void = () => undefined;
  /** What happens while the API is told that it begins. */
  afterBegin: () => void = () => undefined;
  readonly convergence: SnapshotConvergence;

  constructor(folder: string) {
    for (const { name } of TAKEN.files) writeFileSync(join(folder, name), '{}');
    let known = this.held;
    this.tell = () => void (known = this.held);
    const running = (): object => ({ phase: 'Running', run: { incarnation: this.incarnation } });
    const machine = {
      uid: 'vm',
      get state() {
        return running();
      },
      folder: { record: () => this.record() },
      freeze: () => {
        this.frozen += 1;
        return Promise.reject(new Error('nothing is frozen here'));
      },
      lastSnapshotName: 'before',
      noteStored: (incarnation: number, stored: object) => void this.stored.push({ incarnation, ...stored }),
      moments: {
        snapshot: async (_directory: string, incarnation: number) => {
          if (incarnation !== this.incarnation) throw new Error('another incarnation');
          this.taken.push(incarnation);
          return { taken: TAKEN, manifest: { machine: { memoryMiB: 64, v86Build: 'b', imageDigest: 'd' }, memory: { layers: [LAYER] }, devices: DEVICES } };
        },
      },
    };
    this.convergence = new SnapshotConvergence({
      nodeName: 'worker-1',
      clock: { now: () => new Date(Date.now() + this.elapsedMs) },
      log: pino({ level: 'silent' }),
      isServing: () => true,
      recorder: { record: () => undefined },
      snapshots: { get: () => known, getByUid: () => known, list: () => [known], observe: (snapshot: VirtualMachineSnapshot) => (known = snapshot) },
      machines: { get: () => ({ metadata: { uid: 'vm' } }), getByUid: () => undefined },
      supervisor: { find: () => machine },
      forks: new ForkMoments(),
      spool: {
        begin: async () => folder,
        pathOf: () => folder,
        remove: async () => undefined,
      },
      packs: { pathOf: () => '' },
      store: {
        head: async () => {
          this.namedAtFirstLook ??= this.held.status?.layers;
          return { sizeBytes: LAYER.sizeBytes };
        },
        putStream: async () => {
          this.uploads += 1;
          this.meanwhile();
        },
      },
      client: {
        get: async () => this.held,
        replaceStatus: async (_kind: unknown, snapshot: VirtualMachineSnapshot) => {
          if (snapshot.metadata.resourceVersion !== this.held.metadata.resourceVersion) throw new Problem('object.conflict', 'stale');
          this.change(snapshot);
          if (snapshot.status?.completedAt === undefined) this.afterBegin();
          return this.held;
        },
      },
    } as unknown as SnapshotConvergenceOptions);
  }

  change(snapshot: VirtualMachineSnapshot): void {
    const { metadata } = snapshot;
    this.held = { ...snapshot, metadata: { ...metadata, resourceVersion: String(Number(this.held.metadata.resourceVersion) + 1) } };
  }

  /** The node hears of what the API holds. */
  tell: () => void = () => undefined;

  get ready(): string | undefined {
    return findCondition(this.held.status?.conditions, 'Ready')?.reason;
  }
}

let folder: string;
let one: OneSnapshot;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'corral-snapshot-'));
  one = new OneSnapshot(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));
const reconcile = () => one.convergence.reconcile(KEY, new AbortController().signal);

describe('Taking a snapshot', () => {
  it('ends Ready, also when somebody else wrote to the object meanwhile', async () => {
    one.meanwhile = () => one.change({ ...one.held, metadata: { ...one.held.metadata, labels: { a: 'b' } } });
    expect(await reconcile()).toEqual({ type: 'Done' });
    expect([one.ready, one.held.metadata.labels]).toEqual(['Verified', { a: 'b' }]);
  });

  it('says what it was taken after, and lets the machine know once it is stored', async () => {
    await reconcile();
    expect(one.held.status).toMatchObject({ parent: 'before', incarnation: 1 });
    expect(one.stored).toEqual([{ incarnation: 1, snapshot: 'kept', digest: MANIFEST.sha256 }]);
  });

  it.each<[string, () => VirtualMachineSnapshot]>([
    ['given up by its controller', () => ({ ...one.held, status: { completedAt: '2026-01-01T00:00:00Z' } })],
    ['deleted', () => ({ ...one.held, metadata: { ...one.held.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } })],
    ['bound elsewhere', () => ({ ...one.held, spec: { virtualMachine: 'demo', nodeName: 'worker-2' } })],
    ['replaced by another of its name', () => ({ ...one.held, metadata: { ...one.held.metadata, uid: 'another' } })],
  ])('says no word on one that was %s meanwhile', async (_how, become) => {
    let left: VirtualMachineSnapshot | undefined;
    one.meanwhile = () => {
      one.change(become());
      left = one.held;
    };
    expect(await reconcile()).toEqual({ type: 'Done' });
    expect([one.uploads, one.held]).toEqual([2, left]);
  });

  it('says which packs it needs before it looks whether they are there', async () => {
    await reconcile();
    expect(one.namedAtFirstLook).toEqual([LAYER.key]);
  });

  it('tries again no sooner than it said, whatever else there is to look at it for', async () => {
    one.meanwhile = () => {
      throw new Error('no luck');
    };
    expect(await reconcile()).toMatchObject({ type: 'RequeueAfter' });
    const before = [one.taken.length, one.uploads, one.held];
    one.elapsedMs = 900;
    expect(await reconcile()).toMatchObject({ type: 'RequeueAfter' });
    expect([one.taken.length, one.uploads, one.held]).toEqual(before);
    one.meanwhile = () => undefined;
    one.elapsedMs = 1_100;
    expect(await reconcile()).toEqual({ type: 'Done' });
    expect([one.taken.length, one.ready]).toEqual([1, 'Verified']);
  });

  it('holds no pages of a machine of which nobody can say what it is made of', async () => {
    one.change({ ...one.held, spec: { ...one.held.spec, virtualMachine: 'demo', fork: { upload: false } } });
    one.tell();
    one.record = () => Promise.reject(new Error('of another version'));
    expect(await reconcile()).toEqual({ type: 'Done' });
    expect([one.frozen, one.ready]).toEqual([0, 'SnapshotFailed']);
  });

  it('takes nothing of an incarnation that began while the API was told of the one before', async () => {
    one.afterBegin = () => (one.incarnation = 2);
    expect(await reconcile()).toMatchObject({ type: 'RequeueAfter' });
    expect([one.taken, one.uploads]).toEqual([[], 0]);
    // Nor later: what runs now is not what was to be kept.
    one.elapsedMs = 2_000;
    expect(await reconcile()).toEqual({ type: 'Done' });
    expect([one.taken, one.uploads, one.ready]).toEqual([[], 0, 'VirtualMachineNotRunning']);
  });
});
