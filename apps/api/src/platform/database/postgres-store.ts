import { Inject, Injectable, Logger } from '@nestjs/common';
import { versionExpired, versionNotReached, type Change, type Store, type StoredPage, type StoreQuery, type Write } from '@corral/api-machinery';
import { qualifiedResource, type KindDefinition, type KubeObject, type ObjectMeta } from '@corral/contracts';
import { z } from 'zod';
import { Prisma } from './generated/client.ts';
import { Sql } from './sql.ts';
import { objectOfRow, StoredObject, withVersion } from './stored-object.ts';
import { WriteBatches, type Commit } from './write-batches.ts';

const ObjectRow = z.object({ object: StoredObject, version: z.string() });

/** A row of a list: the version of the whole, and one object unless there is none. */
const ListRow = z.object({
  current: z.coerce.number(),
  oldest: z.coerce.number(),
  total: z.coerce.number().nullable(),
  object: StoredObject.nullable(),
  version: z.string().nullable(),
});

const LoggedObject = StoredObject.extend({ apiVersion: z.string(), kind: z.string() });
const ChangeRow = z.object({
  resource_version: z.string(),
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED']),
  resource: z.string(),
  object: LoggedObject,
  previous: LoggedObject.nullable(),
  previous_resource_version: z.string().nullable(),
});

const ObjectLocation = z.object({ resource: z.string(), namespace: z.string(), name: z.string() });
export type ObjectLocation = z.output<typeof ObjectLocation>;
const Abandoned = ObjectLocation.extend({ absent: z.array(z.string()) });
export type Abandoned = z.output<typeof Abandoned>;

/** How far the log goes: what is written, and what is forgotten. */
const Extent = z.object({ current: z.coerce.number(), oldest: z.coerce.number() });
export type Extent = z.output<typeof Extent>;

/** A slice of compaction: short transactions, which vacuum can follow. */
const COMPACT_AT_ONCE = 5_000;

/** The Store in PostgreSQL: each read is one statement, so one round trip and one snapshot; writes go in batches. */
@Injectable()
export class PostgresStore implements Store {
  readonly #logger = new Logger(PostgresStore.name);
  readonly #writes: WriteBatches;
  readonly #listeners: ((commit: Commit | undefined) => void)[] = [];

  constructor(@Inject(Sql) private readonly sql: Sql) {
    this.#writes = new WriteBatches(sql, (commit) => {
      for (const listener of this.#listeners) {
        try {
          listener(commit);
        } catch (error) {
          // What is written is written, whoever fails to take note.
          this.#logger.error({ err: error }, 'A commit could not be told of');
        }
      }
    });
  }

  /** Calls after every batch with what this process has written, before whoever wrote it is answered; without, when that is not known. */
  onSettled(listener: (commit: Commit | undefined) => void): void {
    this.#listeners.push(listener);
  }

  /** Whether the end of a batch will soon be told. */
  get isWriting(): boolean {
    return this.#writes.isSending;
  }

  /** Writes that waited for others to be committed with them, since the start. */
  get gathered(): number {
    return this.#writes.gathered;
  }

  async get(kind: KindDefinition, namespace: string | undefined, name: string): Promise<KubeObject | undefined> {
    const rows = await this.sql.query(Prisma.sql`
      SELECT o.object, o.resource_version::text AS version FROM objects o
      WHERE o.resource = ${qualifiedResource(kind)} AND o.namespace = ${namespaceOf(kind, namespace)} AND o.name = ${name}`);
    const [row] = z.array(ObjectRow).parse(rows);
    return row && objectOfRow(kind, row.object, row.version);
  }

  async list(kind: KindDefinition, query: StoreQuery): Promise<StoredPage> {
    const objects = query.at === undefined ? this.#presentObjects(kind, query) : this.#pastObjects(kind, query, query.at);
    const limit = query.limit === undefined ? Prisma.empty : Prisma.sql`LIMIT ${query.limit}`;
    const rows = await this.sql.query(Prisma.sql`
      SELECT v.current::text, v.oldest::text, p.object, p.version, p.total FROM
        (SELECT corral_current_version() AS current, (SELECT through FROM compaction) AS oldest) v
        LEFT JOIN LATERAL (
          SELECT q.*, (count(*) OVER ())::text AS total FROM (${objects}) q ORDER BY q.namespace, q.name ${limit}
        ) p ON true`);

    const parsed = z.array(ListRow).min(1).parse(rows);
    const { current = 0, oldest = 0, total } = parsed[0] ?? {};
    if (query.at !== undefined && query.at < oldest) throw versionExpired(query.at, oldest);
    if (query.at !== undefined && query.at > current) throw versionNotReached(query.at, current);
    const found = parsed.flatMap(({ object, version }) => (object && version !== null ? [objectOfRow(kind, object, version)] : []));
    return { objects: found, resourceVersion: query.at ?? current, remaining: Math.max(0, (total ?? 0) - found.length) };
  }

  #presentObjects(kind: KindDefinition, query: StoreQuery): Prisma.Sql {
    // The first says to the planner that the partial index holds all that match.
    const labels =
      query.labels && Object.keys(query.labels).length > 0 ? Prisma.sql`AND o.labels <> '{}' AND o.labels @> ${JSON.stringify(query.labels)}::jsonb` : Prisma.empty;
    return Prisma.sql`
      SELECT o.namespace, o.name, o.object, o.resource_version::text AS version
      FROM objects o WHERE o.resource = ${qualifiedResource(kind)} ${whereKey('o', query)} ${labels}`;
  }

  /** What was not changed since, and for the rest what it was before its first change since. */
  #pastObjects(kind: KindDefinition, query: StoreQuery, at: number): Prisma.Sql {
    const resource = qualifiedResource(kind);
    const labels = JSON.stringify(query.labels ?? {});
    return Prisma.sql`
      SELECT o.namespace, o.name, o.object, o.resource_version::text AS version FROM objects o
        WHERE o.resource = ${resource} AND o.resource_version <= ${at} ${whereKey('o', query)} AND o.labels @> ${labels}::jsonb
      UNION ALL
      SELECT c.namespace, c.name, c.previous, c.previous_resource_version::text
        FROM (SELECT DISTINCT ON (c.namespace, c.name) c.* FROM changes c
              WHERE c.resource = ${resource} AND c.resource_version > ${at} ${whereKey('c', query)}
              ORDER BY c.namespace, c.name, c.resource_version) c
        WHERE c.previous IS NOT NULL AND coalesce((c.previous #> '{metadata,labels}')::jsonb, '{}') @> ${labels}::jsonb`;
  }

  create(kind: KindDefinition, object: KubeObject): Promise<KubeObject> {
    return this.#write({ type: 'Create', kind, object });
  }

  update(kind: KindDefinition, current: KubeObject, next: KubeObject): Promise<KubeObject> {
    return this.#write({ type: 'Update', kind, current, next });
  }

  remove(kind: KindDefinition, current: KubeObject, final: KubeObject): Promise<KubeObject> {
    return this.#write({ type: 'Remove', kind, current, final });
  }

  transact(writes: readonly Write[]): Promise<readonly KubeObject[]> {
    return writes.length === 0 ? Promise.resolve([]) : this.#writes.submit(writes);
  }

  async #write(write: Write): Promise<KubeObject> {
    const [written] = await this.#writes.submit([write]);
    if (!written) throw new Error('a write was acknowledged without its object');
    return written;
  }

  async currentVersion(): Promise<number> {
    return (await this.extent()).current;
  }

  async extent(): Promise<Extent> {
    const rows = await this.sql.query({ name: 'corral-extent', text: EXTENT, values: [] });
    return z.tuple([Extent]).parse(rows)[0];
  }

  /** About how many characters all objects of a kind have as JSON. */
  async weightOf(kind: KindDefinition): Promise<number> {
    const rows = await this.sql.query(Prisma.sql`SELECT coalesce(sum(pg_column_size(o.object)), 0)::text AS weight FROM objects o WHERE o.resource = ${qualifiedResource(kind)}`);
    return z.tuple([z.object({ weight: z.coerce.number() })]).parse(rows)[0].weight;
  }

  async changesAfter(version: number, limit: number, resource?: string): Promise<readonly Change[]> {
    const rows = await this.sql.query(
      resource === undefined
        ? { name: 'corral-changes', text: changesAfterText(''), values: [version, limit] }
        : { name: 'corral-changes-of', text: changesAfterText('AND c.resource = $3'), values: [version, limit, resource] },
    );
    const parsed = z.array(z.object({ through: z.coerce.number(), resource_version: z.string().nullable() }).loose()).parse(rows);
    const oldest = parsed[0]?.through ?? 0;
    if (version < oldest) throw versionExpired(version, oldest);
    return parsed.filter((row) => row.resource_version !== null).map((row) => changeOfRow(ChangeRow.parse(row)));
  }

  /** Objects with owners that are neither in their namespace nor in none, any more; `owners` narrows the search to those. */
  async findAbandoned(owners?: readonly string[]): Promise<readonly Abandoned[]> {
    const narrowed = owners === undefined ? Prisma.empty : Prisma.sql`AND o.owner_references @> ANY (${owners.map((uid) => JSON.stringify([{ uid }]))}::jsonb[])`;
    const rows = await this.sql.query(Prisma.sql`
      SELECT o.resource, o.namespace, o.name, array_agg(r.uid) AS absent
      FROM objects o CROSS JOIN LATERAL jsonb_to_recordset(o.owner_references) AS r(uid text)
      WHERE o.owner_references <> '[]' AND o.deletion_timestamp IS NULL ${narrowed}
        AND NOT EXISTS (SELECT FROM objects owner WHERE owner.uid::text = r.uid AND owner.namespace IN ('', o.namespace))
      GROUP BY o.uid`);
    return z.array(Abandoned).parse(rows);
  }

  /** Objects being deleted that one of these finalizers holds. */
  async findHeldBy(finalizers: readonly string[]): Promise<readonly ObjectLocation[]> {
    const rows = await this.sql.query(Prisma.sql`
      SELECT o.resource, o.namespace, o.name FROM objects o WHERE o.deletion_timestamp IS NOT NULL AND o.finalizers && ${[...finalizers]}::text[]`);
    return z.array(ObjectLocation).parse(rows);
  }

  /** What names an object as its owner: in its namespace; anywhere when it is in none, so that no tenant holds up another's deletion. */
  async findDependents({ uid, namespace = '' }: Pick<ObjectMeta, 'uid' | 'namespace'>): Promise<readonly ObjectLocation[]> {
    const rows = await this.sql.query(Prisma.sql`
      SELECT o.resource, o.namespace, o.name FROM objects o
      WHERE o.owner_references <> '[]' AND o.owner_references @> ${JSON.stringify([{ uid }])}::jsonb AND ${namespace} IN ('', o.namespace)`);
    return z.array(ObjectLocation).parse(rows);
  }

  /** Forgets changes older than `before`, but keeps the newest `keep`. Answers how many were forgotten. Writers do not wait for it. */
  async compactChanges(before: Date, keep = 0): Promise<number> {
    let total = 0;
    for (;;) {
      const rows = await this.sql.query(Prisma.sql`SELECT corral_compact(${before}, ${keep}::bigint, ${COMPACT_AT_ONCE}::bigint)::text AS forgotten`);
      const { forgotten } = z.tuple([z.object({ forgotten: z.coerce.number() })]).parse(rows)[0];
      total += forgotten;
      if (forgotten < COMPACT_AT_ONCE) return total;
    }
  }
}

const EXTENT = 'SELECT corral_current_version()::text AS current, through::text AS oldest FROM compaction';

const changesAfterText = (ofResource: string): string => `
  SELECT v.through::text, c.* FROM compaction v LEFT JOIN LATERAL (
    SELECT c.resource_version::text, c.type, c.resource, c.object, c.previous, c.previous_resource_version::text
    FROM changes c WHERE c.resource_version > $1 ${ofResource} ORDER BY c.resource_version LIMIT $2
  ) c ON true ORDER BY c.resource_version::bigint`;

const namespaceOf = (kind: KindDefinition, namespace: string | undefined): string => (kind.scope === 'Namespaced' ? (namespace ?? '') : '');

function whereKey(alias: 'o' | 'c', { namespace, name, after }: StoreQuery): Prisma.Sql {
  const table = Prisma.raw(alias);
  return Prisma.join(
    [
      namespace === undefined ? Prisma.empty : Prisma.sql`AND ${table}.namespace = ${namespace}`,
      name === undefined ? Prisma.empty : Prisma.sql`AND ${table}.name = ${name}`,
      after === undefined ? Prisma.empty : Prisma.sql`AND (${table}.namespace, ${table}.name) > (${after.namespace}, ${after.name})`,
    ],
    ' ',
  );
}

function changeOfRow(row: z.output<typeof ChangeRow>): Change {
  return {
    resourceVersion: Number(row.resource_version),
    type: row.type,
    resource: row.resource,
    object: withVersion(row.object, row.resource_version),
    previous: row.previous && row.previous_resource_version ? withVersion(row.previous, row.previous_resource_version) : undefined,
  };
}
