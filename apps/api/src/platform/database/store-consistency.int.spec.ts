import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { candidateForCreate, Selection, versionExpired, type Change, type Write } from '@corral/api-machinery';
import { leases, namespaces, Problem, qualifiedResource, type KindDefinition, type KubeObject, type WatchEvent } from '@corral/contracts';
import { startPostgres, type EmbeddedPostgres } from '@corral/embedded';
import { until } from '@corral/testing';
import fc from 'fast-check';
import pg from 'pg';
import { randomUUID } from 'node:crypto';
import { Watches } from '../../modules/resources/watches.ts';
import type { ApiConfig } from '../config/api-config.ts';
import { CachedStore } from './cached-store.ts';
import { HealthChecks } from '../telemetry/health-checks.ts';
import { ChangeFeed } from './change-feed.ts';
import { PostgresStore } from './postgres-store.ts';
import { Sql, type Statement } from './sql.ts';

const ROOT = resolve(import.meta.dirname, '../../../../..');
const LEASES: KindDefinition = leases;

/** What one API process has between its requests and the database. */
interface Process {
  readonly store: PostgresStore;
  readonly feed: ChangeFeed;
  readonly cached: CachedStore;
  readonly watches: Watches;
  stop(): Promise<void>;
}

let postgres: EmbeddedPostgres;
let home: string;
const processes: Process[] = [];

/** A connection over which the change log can be cut off. */
class InterruptedSql extends Sql {
  /** While it is there, reading the log waits for it. */
  interruption: Promise<void> | undefined;

  override async query(statement: Statement): Promise<unknown[]> {
    if ('name' in statement && statement.name.startsWith('corral-changes')) await this.interruption;
    return super.query(statement);
  }
}

async function startProcess(maxCacheWeight?: number, sql = new Sql({ databaseUrl: postgres.url } as ApiConfig)): Promise<Process> {
  const config = { databaseUrl: postgres.url } as ApiConfig;
  const store = new PostgresStore(sql);
  const feed = new ChangeFeed(store, config, new HealthChecks());
  const cached = new CachedStore(store, feed, maxCacheWeight);
  await feed.onModuleInit();
  const stop = async (): Promise<void> => {
    await feed.beforeApplicationShutdown();
    await sql.onApplicationShutdown();
  };
  const process = { store, feed, cached, watches: new Watches(cached, feed), stop };
  processes.push(process);
  return process;
}

const made = (kind: KindDefinition, apiVersion: string, name: string, namespace: string | undefined, holderIdentity?: string): KubeObject => {
  const value = { apiVersion, kind: kind.kind, metadata: { name }, ...(holderIdentity === undefined ? {} : { spec: { holderIdentity } }) };
  return candidateForCreate(kind, { value, duplicates: [] }, { namespace }, { now: new Date(0), uid: randomUUID(), nameSuffix: '' }).object;
};
const lease = (namespace: string, name: string, holder = 'nobody'): KubeObject => made(LEASES, 'coordination.k8s.io/v1', name, namespace, holder);
const held = (object: KubeObject, holderIdentity: string): KubeObject => ({ ...object, spec: { holderIdentity } });
const versionOf = (object: KubeObject | undefined): number => Number(object?.metadata.resourceVersion ?? 0);
const byName = (objects: readonly KubeObject[]) => new Map(objects.map((object) => [object.metadata.name, object]));

let spaces = 0;
async function newNamespace(): Promise<string> {
  const name = `space-${(spaces += 1)}`;
  await processes[0]?.store.create(namespaces as KindDefinition, made(namespaces as KindDefinition, 'v1', name, undefined));
  return name;
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'corral-store-'));
  postgres = await startPostgres({ home, durability: 'Test' });
  await promisify(execFile)(process.execPath, ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', 'prisma/migrate.ts'], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], DATABASE_URL: postgres.url },
  });
  await startProcess();
  await startProcess();
  // One for which nothing fits into memory: the same must hold from the database alone.
  await startProcess(0);
}, 60_000);
afterAll(async () => {
  await Promise.all(processes.map((process) => process.stop()));
  await postgres.stop();
  rmSync(home, { recursive: true, force: true });
});

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

describe('writes in batches', () => {
  // Each is about what stood there at the beginning, or about a version from before that.
  const one = fc.record({ type: fc.constantFrom('Create', 'Update', 'Stale', 'Remove'), name: fc.constantFrom(...NAMES) });
  const transaction = fc.uniqueArray(one, { minLength: 1, maxLength: 3, selector: ({ name }) => name });

  it('make no object larger than memory and the log can bear', async () => {
    const { store } = processes[0] as Process;
    const namespace = await newNamespace();
    const small = await store.create(LEASES, lease(namespace, 'small'));
    const large = (length: number) => held(small, 'x'.repeat(length));
    await expect(store.update(LEASES, small, large(2 * 1024 * 1024))).rejects.toMatchObject({ code: 'request.too-large' });
    await expect(store.create(LEASES, lease(namespace, 'big', 'x'.repeat(2 * 1024 * 1024)))).rejects.toMatchObject({ code: 'request.too-large' });
    const fitting = await store.update(LEASES, small, large(1024 * 1024));
    await store.remove(LEASES, fitting, fitting);
  });

  it('have the outcomes they would have one after the other', async () => {
    const { store } = processes[0] as Process;
    await fc.assert(
      fc.asyncProperty(fc.array(transaction, { minLength: 1, maxLength: 25 }), async (transactions) => {
        const carryOut = async (areTogether: boolean) => {
          const namespace = await newNamespace();
          const old = await Promise.all(NAMES.slice(0, 4).map((name) => store.create(LEASES, lease(namespace, name))));
          const before = byName(await Promise.all(old.map((object) => store.update(LEASES, object, held(object, 'first')))));
          const outdated = byName(old);
          const writesOf = (index: number): Write[] =>
            (transactions[index] ?? []).map(({ type, name }): Write => {
              const current = (type === 'Stale' ? outdated : before).get(name) ?? lease(namespace, name);
              if (type === 'Create') return { type, kind: LEASES, object: lease(namespace, name, `made by ${index}`) };
              if (type === 'Remove') return { type, kind: LEASES, current, final: current };
              return { type: 'Update', kind: LEASES, current: { ...current, metadata: { ...current.metadata, resourceVersion: current.metadata.resourceVersion || '1' } }, next: held(current, `changed by ${index}`) };
            });
          const attempt = async (index: number): Promise<string> => {
            try {
              await store.transact(writesOf(index).map((write) => (write.type === 'Remove' && write.current.metadata.resourceVersion === '' ? { ...write, current: { ...write.current, metadata: { ...write.current.metadata, resourceVersion: '1' } } } : write)));
              return 'done';
            } catch (error) {
              if (!(error instanceof Problem)) throw error;
              // Of several reasons any may be told.
              return (transactions[index] ?? []).length === 1 ? error.code : 'refused';
            }
          };
          const outcomes: string[] = [];
          if (areTogether) outcomes.push(...(await Promise.all(transactions.map((_, index) => attempt(index)))));
          else for (const index of transactions.keys()) outcomes.push(await attempt(index));
          const { objects } = await store.list(LEASES, { namespace });
          return { outcomes, left: objects.map(({ metadata, spec }) => [metadata.name, spec]) };
        };
        expect(await carryOut(true)).toEqual(await carryOut(false));
      }),
      { numRuns: 15 },
    );
  }, 120_000);

  it('fail alone when the database cannot take what is in them', async () => {
    const { store } = processes[0] as Process;
    const namespace = await newNamespace();
    const taken = await store.create(LEASES, lease(namespace, 'taken'));
    const twin = { ...lease(namespace, 'twin'), metadata: { ...lease(namespace, 'twin').metadata, uid: taken.metadata.uid } };
    const outcomes = await Promise.allSettled([store.create(LEASES, lease(namespace, 'good')), store.create(LEASES, twin), store.create(LEASES, lease(namespace, 'fine'))]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((await store.list(LEASES, { namespace })).objects.map(({ metadata }) => metadata.name)).toEqual(['fine', 'good', 'taken']);
  });

  it('do not put an object into a namespace after it began to go', async () => {
    const { store } = processes[0] as Process;
    for (let round = 0; round < 10; round += 1) {
      const name = await newNamespace();
      const space = await store.get(namespaces as KindDefinition, undefined, name);
      if (!space) throw new Error('the namespace is not there');
      const going = { ...space, metadata: { ...space.metadata, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['example.com/held'] } };
      const creates = Array.from({ length: 6 }, (_, index) => () => store.create(LEASES, lease(name, `l-${index}`)));
      const mark = () => store.update(namespaces as KindDefinition, space, going);
      const outcomes = await Promise.allSettled([...creates.slice(0, round % 6), mark, ...creates.slice(round % 6)].map((write) => write()));
      const written = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      const marked = versionOf(written.find(({ kind }) => kind === 'Namespace'));
      expect(written.filter(({ kind, metadata }) => kind === 'Lease' && Number(metadata.resourceVersion) > marked)).toEqual([]);
    }
  });
});

describe('a full memory', () => {
  it('gives up the heaviest kind, not the one that happens to change', async () => {
    const { store, cached } = processes[0] as Process;
    const namespace = await newNamespace();
    const heavy = await store.create(LEASES, lease(namespace, 'heavy', 'x'.repeat(100_000)));
    const kinds = [LEASES, namespaces as KindDefinition];
    for (const kind of kinds) await cached.list(kind, {});
    const weight = cached.contents().filter(({ resource }) => kinds.some((kind) => qualifiedResource(kind) === resource)).reduce((sum, kind) => sum + kind.weight, 0);
    const small = await startProcess(weight + 2_000);
    for (const kind of kinds) await small.cached.list(kind, {});
    const kept = () => small.cached.contents().map(({ resource }) => resource);
    expect(kept()).toHaveLength(2);
    for (let created = 0; created < 50 && kept().length === 2; created += 1) {
      await newNamespace();
      await small.cached.get(namespaces as KindDefinition, undefined, namespace);
    }
    expect(kept()).toEqual([qualifiedResource(namespaces)]);
    await store.remove(LEASES, heavy, heavy);
  });
});

/** Random work of one client over all processes; `look` sees every object it reads. */
async function client(seed: number, namespace: string, turns: number, look: (object: KubeObject) => void): Promise<void> {
  let state = seed;
  // Numerical Recipes' generator: repeatable.
  const random = (below: number): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below;
  for (let turn = 0; turn < turns; turn += 1) {
    const [writer, reader] = [processes[random(3)] as Process, processes[random(3)] as Process];
    const name = NAMES[random(NAMES.length)] ?? '';
    try {
      const current = await reader.cached.get(LEASES, namespace, name);
      if (current) look(current);
      const written = current
        ? random(4) === 0
          ? await writer.cached.remove(LEASES, current, current)
          : await writer.cached.update(LEASES, current, held(current, `${seed}.${turn}`))
        : await writer.cached.create(LEASES, lease(namespace, name, `${seed}.${turn}`));
      const after = await (processes[random(3)] as Process).cached.get(LEASES, namespace, name);
      // Somebody may have removed it; nobody may show what it was before.
      if (after && versionOf(after) < versionOf(written)) throw new Error(`read version ${versionOf(after)} after having written ${versionOf(written)}`);
      if (after) look(after);
    } catch (error) {
      if (!(error instanceof Problem && ['object.conflict', 'object.exists', 'object.not-found'].includes(error.code))) throw error;
    }
  }
}

describe('forgetting history', () => {
  it('does not wait for writers, nor they for it', async () => {
    const { store, cached } = processes[0] as Process;
    const namespace = await newNamespace();
    await Promise.all(Array.from({ length: 50 }, (_, index) => store.create(LEASES, lease(namespace, `l-${index}`))));
    const blocker = new pg.Client({ connectionString: postgres.url });
    await blocker.connect();
    await blocker.query('BEGIN');
    await blocker.query('SELECT corral_lock_writes()');
    const write = store.create(LEASES, lease(namespace, 'later'));
    const forgotten = await store.compactChanges(new Date(Date.now() + 3_600_000), 10);
    const { current, oldest } = await store.extent();
    await blocker.query('COMMIT');
    await blocker.end();
    expect(forgotten).toBeGreaterThanOrEqual(40);
    expect(current - oldest).toBe(10);
    expect(versionOf(await write)).toBe(current + 1);
    await expect(cached.changesAfter(oldest - 1, 10)).rejects.toMatchObject({ code: 'version.expired' });
    expect(await cached.changesAfter(oldest, 100)).toHaveLength(11);
  }, 30_000);

  it('makes a process that had not read it begin anew, and tell its watchers', async () => {
    const [{ store }] = processes as [Process];
    const sql = new InterruptedSql({ databaseUrl: postgres.url } as ApiConfig);
    const { cached, watches } = await startProcess(undefined, sql);
    const namespace = await newNamespace();
    const [kept, changed] = await Promise.all(['kept', 'changed', 'gone'].map((name) => store.create(LEASES, lease(namespace, name))));
    const { resourceVersion, objects } = await cached.list(LEASES, { namespace });
    expect(objects).toHaveLength(3);
    const watching = (async () => {
      const options = { start: { from: 'Version', version: resourceVersion }, marksInitialEnd: false, bookmarkEveryMs: 60_000, signal: new AbortController().signal } as const;
      for await (const item of watches.watch(new Selection(LEASES, { namespace }), options)) throw new Error(`was told ${JSON.stringify(item)}`);
    })();
    const watched = expect(watching).rejects.toMatchObject({ code: 'version.expired' });

    const { promise, resolve: reconnect } = Promise.withResolvers<undefined>();
    sql.interruption = promise;
    const gone = objects.find(({ metadata }) => metadata.name === 'gone') as KubeObject;
    await Promise.all([store.update(LEASES, changed as KubeObject, held(changed as KubeObject, 'somebody')), store.remove(LEASES, gone, gone), store.create(LEASES, lease(namespace, 'new'))]);
    await store.compactChanges(new Date(Date.now() + 3_600_000));
    const late = cached.list(LEASES, { namespace });
    sql.interruption = undefined;
    reconnect(undefined);

    const expected = await store.list(LEASES, { namespace });
    expect((await late).objects).toEqual(expected.objects);
    expect(expected.objects.map(({ metadata }) => metadata.name)).toEqual(['changed', 'kept', 'new']);
    expect(await cached.get(LEASES, namespace, 'kept')).toEqual(kept);
    await watched;
  }, 30_000);

  it('keeps what is younger', async () => {
    const { store } = processes[0] as Process;
    await newNamespace();
    const { oldest } = await store.extent();
    expect(await store.compactChanges(new Date(Date.now() - 3_600_000))).toBe(0);
    expect((await store.extent()).oldest).toBe(oldest);
  });
});

describe('several processes on one database', () => {
  it('show every client its own writes, and never an older state than one it has seen', async () => {
    const namespace = await newNamespace();
    await Promise.all(
      Array.from({ length: 8 }, async (_, seed) => {
        const seen = new Map<string, number>();
        await client(seed + 1, namespace, 40, (object) => {
          const { name } = object.metadata;
          if (versionOf(object) < (seen.get(name) ?? 0)) throw new Error(`${name} went back from ${seen.get(name)} to ${versionOf(object)}`);
          seen.set(name, versionOf(object));
        });
      }),
    );
    const lists = await Promise.all(processes.map(({ cached }) => cached.list(LEASES, { namespace })));
    for (const { objects } of lists) expect(objects).toEqual(lists[0]?.objects);
  }, 60_000);

  it('list what a replay of the watch gives, now and at every version in between, page by page', async () => {
    const namespace = await newNamespace();
    const start = await (processes[0] as Process).cached.list(LEASES, { namespace });
    const abort = new AbortController();
    const told = await Promise.all(
      processes.map(({ watches }) => {
        const events: WatchEvent[] = [];
        const selection = new Selection(LEASES, { namespace });
        const options = { start: { from: 'Version', version: start.resourceVersion }, marksInitialEnd: false, bookmarkEveryMs: 60_000, signal: abort.signal } as const;
        const ended = (async () => {
          for await (const item of watches.watch(selection, options)) if (item.type === 'Event') events.push(item.event);
        })();
        return { events, ended };
      }),
    );
    const sampled: { readonly at: number; readonly objects: readonly KubeObject[] }[] = [];
    const sample = async (): Promise<void> => {
      for (let turn = 0; turn < 30; turn += 1) {
        const { cached } = processes[turn % 3] as Process;
        const first = await cached.list(LEASES, { namespace, limit: 2 });
        const objects = [...first.objects];
        let { remaining } = first;
        while (remaining > 0) {
          const last = objects.at(-1)?.metadata;
          const page = await cached.list(LEASES, { namespace, limit: 2, at: first.resourceVersion, after: { namespace, name: last?.name ?? '' } });
          objects.push(...page.objects);
          ({ remaining } = page);
        }
        sampled.push({ at: first.resourceVersion, objects });
      }
    };
    await Promise.all([sample(), ...Array.from({ length: 6 }, (_, seed) => client(seed + 100, namespace, 30, () => undefined))]);

    const end = await (processes[1] as Process).cached.list(LEASES, { namespace });
    const last = (await (processes[0] as Process).store.changesAfter(start.resourceVersion, 10_000)).filter(({ object }) => object.metadata.namespace === namespace).at(-1);
    await until(() => told.every(({ events }) => versionOf(events.at(-1)?.object) === (last?.resourceVersion ?? 0)), { timeoutMs: 20_000, what: 'the last event at every watcher' });
    abort.abort();
    await Promise.all(told.map(({ ended }) => ended));

    const replayed = (events: readonly WatchEvent[], at: number): readonly KubeObject[] => {
      const left = byName(start.objects);
      let before = start.resourceVersion;
      for (const { type, object } of events) {
        const version = versionOf(object);
        if (version <= before) throw new Error(`version ${version} came after ${before}`);
        before = version;
        if (version > at) break;
        if ((type === 'ADDED') === left.has(object.metadata.name)) throw new Error(`${type} of ${object.metadata.name} does not follow from what came before`);
        if (type === 'DELETED') left.delete(object.metadata.name);
        else left.set(object.metadata.name, object);
      }
      return [...left.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    };
    for (const { events } of told) {
      expect(replayed(events, Infinity)).toEqual(end.objects);
      for (const { at, objects } of sampled) expect(objects).toEqual(replayed(events, at));
    }
  }, 60_000);
});

/** Of which the log was once compacted past its reader, who learns late how far. */
class LateStore extends PostgresStore {
  isExpired = false;
  answer: Promise<void> = Promise.resolve();

  override async changesAfter(version: number, limit: number): Promise<readonly Change[]> {
    if (!this.isExpired) return super.changesAfter(version, limit);
    this.isExpired = false;
    throw versionExpired(version, version + 1);
  }

  override async currentVersion(): Promise<number> {
    const version = await super.currentVersion();
    await this.answer;
    return version;
  }
}

describe('the change feed', () => {
  it('never goes back, whatever is written while it learns how much it missed', async () => {
    const config = { databaseUrl: postgres.url } as ApiConfig;
    const sql = new Sql(config);
    const store = new LateStore(sql);
    const feed = new ChangeFeed(store, config, new HealthChecks());
    await feed.onModuleInit();
    try {
      const namespace = await newNamespace();
      await feed.reached(await store.currentVersion());
      const positions: number[] = [];
      feed.follow({ changed: () => undefined, missed: () => positions.push(feed.position) });
      let answer = (): void => undefined;
      store.answer = new Promise((resolve) => (answer = resolve));
      store.isExpired = true;
      const reached = feed.reached(feed.position + 1);
      await until(() => !store.isExpired, { timeoutMs: 10_000, what: 'the feed reads' });
      const created = await store.create(LEASES, lease(namespace, 'meanwhile'));
      await reached;
      answer();
      await until(() => positions.length === 1, { timeoutMs: 10_000, what: 'the feed begins anew' });
      expect(positions).toEqual([versionOf(created)]);
    } finally {
      await feed.beforeApplicationShutdown();
      await sql.onApplicationShutdown();
    }
  });

  it('tells watchers of a change that a copy in memory could not take in, and has the copy made anew', async () => {
    const { store, feed, cached, watches } = await startProcess();
    const namespace = await newNamespace();
    const start = await store.currentVersion();
    await feed.reached(start);
    let misses = 0;
    let mayFail = true;
    feed.follow({
      changed: () => {
        if (mayFail) throw new Error('a fault of the copy');
      },
      missed: () => (misses += 1),
    });
    const abort = new AbortController();
    const told: WatchEvent[] = [];
    const watching = (async () => {
      const selection = new Selection(LEASES, { namespace });
      for await (const item of watches.watch(selection, { start: { from: 'Version', version: start }, marksInitialEnd: false, bookmarkEveryMs: 60_000, signal: abort.signal })) {
        if (item.type === 'Event') told.push(item.event);
      }
    })();
    const created = await store.create(LEASES, lease(namespace, 'a'));
    await until(() => told.length === 1, { timeoutMs: 10_000, what: 'the event' });
    expect(told).toEqual([{ type: 'ADDED', object: created }]);
    expect(misses).toBe(1);
    mayFail = false;
    expect(await cached.get(LEASES, namespace, 'a')).toEqual(created);
    abort.abort();
    await watching;
  });
});
