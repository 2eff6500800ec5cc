import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ObjectKey } from '@corral/contracts';
import { layersOf } from '@corral/memory';
import { isLive, worthReporting } from '@corral/vm-lifecycle';
import { Machine } from './machine.ts';
import { type MachineEndpoint, type MachineSurroundings } from './machine.surroundings.ts';
import { MachineFolder, machineFolders } from './machine-folder.ts';

export interface SupervisorOptions extends Omit<MachineSurroundings, 'nextSocketPath'> {
  readonly home: string;
}

/** sockaddr_un holds 108 bytes with the terminating zero; the name itself needs a few. Source: unix(7). */
const MAX_SOCKET_DIRECTORY_LENGTH = 90;
const SAMPLE_INTERVAL_MS = 30_000;

/** Every machine of this node. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #root: string;
  readonly #machines = new Map<string, Machine>();
  #socketDirectory = '';
  #sockets = 0;
  #sampling: NodeJS.Timeout | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#root = join(options.home, 'machines');
  }

  async open(): Promise<void> {
    const run = join(this.#options.home, 'run');
    await rm(run, { recursive: true, force: true });
    if (Buffer.byteLength(run) <= MAX_SOCKET_DIRECTORY_LENGTH) {
      await mkdir(run, { recursive: true, mode: 0o700 });
      this.#socketDirectory = run;
    } else this.#socketDirectory = await mkdtemp(join(tmpdir(), 'corral-'));
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    this.#sampling = setInterval(() => void this.#sample(), SAMPLE_INTERVAL_MS);
  }

  async close(): Promise<void> {
    clearInterval(this.#sampling);
    await rm(this.#socketDirectory, { recursive: true, force: true });
  }

  get machines(): readonly Machine[] {
    return [...this.#machines.values()];
  }

  get liveCount(): number {
    return this.machines.filter(({ state }) => isLive(state)).length;
  }

  find(uid: string): Machine | undefined {
    return this.#machines.get(uid);
  }

  /** The machine with this uid, known from now on. */
  async ensure(uid: string, key: ObjectKey): Promise<Machine> {
    const known = this.#machines.get(uid);
    if (known) return known;
    const { home: _home, ...around } = this.#options;
    const machine = new Machine({ uid, key }, new MachineFolder(this.#root, uid), {
      ...around,
      nextSocketPath: () => join(this.#socketDirectory, `${++this.#sockets}.sock`),
    });
    await machine.load();
    this.#machines.set(uid, machine);
    return machine;
  }

  /** What this node has of one machine goes on as another: the claim of a pool's warm machine, which is gone from the API. */
  async handOver(uid: string, to: { readonly uid: string; readonly key: ObjectKey }): Promise<void> {
    const folder = new MachineFolder(this.#root, to.uid);
    const machine = this.#machines.get(uid);
    // An earlier node agent knew the machine; it has left a folder at most.
    if (!machine) return new MachineFolder(this.#root, uid).become(folder);
    await machine.become(to, folder);
    this.#machines.delete(uid);
    this.#machines.set(to.uid, machine);
  }

  /** Machines that once were, or are, called this. */
  named({ namespace, name }: ObjectKey): readonly Machine[] {
    return this.machines.filter(({ key }) => key.namespace === namespace && key.name === name);
  }

  /** Removes all that this node holds of a machine that has no process. */
  async forget(machine: Machine): Promise<void> {
    if (isLive(machine.state)) throw new Error('A machine with a process cannot be forgotten');
    await machine.folder.remove();
    this.#machines.delete(machine.uid);
  }

  endpoint(uid: string): MachineEndpoint | undefined {
    return this.#machines.get(uid)?.endpoint;
  }

  /** Where a machine that sleeps here left what it showed; undefined for any other. */
  lastScreen(uid: string): string | undefined {
    const machine = this.#machines.get(uid);
    return machine?.suspended && !machine.endpoint ? machine.folder.screenPath : undefined;
  }

  /** Removes the folders of machines that are not among those bound to this node. */
  async sweep(bound: ReadonlySet<string>): Promise<string[]> {
    const left = (await machineFolders(this.#root)).filter((uid) => !bound.has(uid) && !this.#machines.has(uid));
    for (const uid of left) await new MachineFolder(this.#root, uid).remove();
    return left;
  }

  /** Digests of the artifacts that machines here may still read. */
  async neededArtifacts(): Promise<Set<string>> {
    const records = await Promise.all(this.machines.map(({ folder }) => folder.record().catch(() => undefined)));
    return new Set(records.flatMap((record) => Object.values(record?.artifacts ?? {}).map(({ sha256 }) => sha256)));
  }

  /** Digests of the packs that machines here lie on, also those that nobody has looked at since the agent started. */
  async neededPacks(): Promise<Set<string>> {
    const suspended = await Promise.all((await machineFolders(this.#root)).map((uid) => new MachineFolder(this.#root, uid).suspendedManifest()));
    const manifests = [...suspended, ...this.machines.map(({ lineage }) => lineage)];
    return new Set(manifests.flatMap((manifest) => (manifest ? layersOf(manifest).map(({ sha256 }) => sha256) : [])));
  }

  async #sample(): Promise<void> {
    for (const machine of this.machines) {
      const before = machine.residentBytes;
      await machine.sample();
      if (worthReporting(before, machine.residentBytes) !== before) this.#options.onChange(machine.key);
    }
  }
}
