import { Inject, Injectable } from '@nestjs/common';
import {
  namespaceNotFound, namespaceTerminating, objectConflict, objectExists, objectNotFound, versionExpired, versionNotReached,
  type Change, type Store, type StoredPage, type StoreQuery, type Write,
} from '@corral/api-machinery';
import { assertNever } from '@corral/base';
import { Problem, qualifiedResource, type KindDefinition, type KubeObject } from '@corral/contracts';
import { z } from 'zod';
import { Database } from './database.ts';
import { Prisma } from './generated/client.ts';
import { LoggedObject, objectOfLog, objectOfRow, StoredRow } from './stored-row.ts';

const COLUMNS = Prisma.sql`
  o.uid::text, o.namespace, o.name, o.generate_name, o.resource_version::text, o.generation::text,
  to_char(o.creation_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS created,
  to_char(o.deletion_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS deleted,
  o.deletion_grace_period_seconds, o.labels, o.annotations, o.finalizers, o.owner_references, o.managed_fields, o.spec, o.status, o.body`;

const WriteResult = z.tuple([
  z.object({
    outcome: z.enum(['Written', 'Exists', 'Missing', 'Stale', 'NamespaceMissing', 'NamespaceTerminating']),
    version: z.string().nullable(),
  }),
]);

/** A row of a list: the version of the whole, and one object unless there is none. */
const ListRow = z.object({ current: z.coerce.number(), oldest: z.coerce.number(), total: z.coerce.number().nullable(), uid: z.string().nullable() }).loose();
const PastRow = z.object({ past: LoggedObject, past_version: z.string() });

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

/** The database, or a transaction under way in it. */
type Connection = Pick<Database, '$queryRaw'>;

/** The Store in PostgreSQL: each call is one statement, so one round trip and one snapshot. */
@Injectable()
export class PostgresStore implements Store {
  constructor(@Inject(Database) private readonly database: Database) {}

  async get(kind: KindDefinition, namespace: string | undefined, name: string): Promise<KubeObject | undefined> {
    const rows = await this.#query(Prisma.sql`
      SELECT ${COLUMNS} FROM objects o
      WHERE o.resource = ${qualifiedResource(kind)} AND o.namespace = ${namespaceOf(kind, namespace)} AND o.name = ${name}`);
    const [row] = z.array(StoredRow).parse(rows);
    return row && objectOfRow(kind, row);
  }

  async list(kind: KindDefinition, query: StoreQuery): Promise<StoredPage> {
    const objects = query.at === undefined ? this.#presentObjects(kind, query) : this.#pastObjects(kind, query, query.at);
    const limit = query.limit === undefined ? Prisma.empty : Prisma.sql`LIMIT ${query.limit}`;
    const rows = await this.#query(Prisma.sql`
      SELECT v.current::text, v.oldest::text, p.* FROM
        (SELECT corral_current_version() AS current, (SELECT through FROM compaction) AS oldest) v
        LEFT JOIN LATERAL (
          SELECT q.*, (count(*) OVER ())::text AS total FROM (${objects}) q ORDER BY q.namespace, q.name ${limit}
        ) p ON true`);

    const parsed = z.array(ListRow).min(1).parse(rows);
    const { current = 0, oldest = 0, total } = parsed[0] ?? {};
    if (query.at !== undefined && query.at < oldest) throw versionExpired(query.at, oldest);
    if (query.at !== undefined && query.at > current) throw versionNotReached(query.at, current);
    const found = parsed.filter((row) => row.uid !== null || row['past'] !== null && row['past'] !== undefined);
    return {
      objects: found.map((row) => {
        if (row.uid !== null) return objectOfRow(kind, StoredRow.parse(row));
        const { past, past_version } = PastRow.parse(row);
        return objectOfLog(past, past_version);
      }),
      resourceVersion: query.at ?? current,
      remaining: Math.max(0, (total ?? 0) - found.length),
    };
  }

  #presentObjects(kind: KindDefinition, query: StoreQuery): Prisma.Sql {
    const labels = query.labels && Object.keys(query.labels).length > 0 ? Prisma.sql`AND o.labels @> ${JSON.stringify(query.labels)}::jsonb` : Prisma.empty;
    return Prisma.sql`SELECT ${COLUMNS} FROM objects o WHERE o.resource = ${qualifiedResource(kind)} ${whereKey('o', query)} ${labels}`;
  }

  /** What was not changed since, and for the rest what it was before its first change since. */
  #pastObjects(kind: KindDefinition, query: StoreQuery, at: number): Prisma.Sql {
    const resource = qualifiedResource(kind);
    const labels = JSON.stringify(query.labels ?? {});
    return Prisma.sql`
      SELECT ${COLUMNS}, NULL::json AS past, NULL::text AS past_version FROM objects o
        WHERE o.resource = ${resource} AND o.resource_version <= ${at} ${whereKey('o', query)} AND o.labels @> ${labels}::jsonb
      UNION ALL
      SELECT NULL, c.namespace, c.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
             c.previous, c.previous_resource_version::text
        FROM (SELECT DISTINCT ON (c.namespace, c.name) c.* FROM changes c
              WHERE c.resource = ${resource} AND c.resource_version > ${at} ${whereKey('c', query)}
              ORDER BY c.namespace, c.name, c.resource_version) c
        WHERE c.previous IS NOT NULL AND coalesce((c.previous #> '{metadata,labels}')::jsonb, '{}') @> ${labels}::jsonb`;
  }

  create(kind: KindDefinition, object: KubeObject): Promise<KubeObject> {
    return this.#write({ type: 'Create', kind, object }, this.database);
  }

  update(kind: KindDefinition, current: KubeObject, next: KubeObject): Promise<KubeObject> {
    return this.#write({ type: 'Update', kind, current, next }, this.database);
  }

  remove(kind: KindDefinition, current: KubeObject, final: KubeObject): Promise<KubeObject> {
    return this.#write({ type: 'Remove', kind, current, final }, this.database);
  }

  transact(writes: readonly Write[]): Promise<readonly KubeObject[]> {
    const changed = writes.flatMap((write) => (write.type === 'Create' ? [] : [write.current.metadata.uid]));
    return this.database.$transaction(async (transaction) => {
      // Rows before the lock of all writes, in one order: as single writers do, so that nobody waits in a circle.
      await this.#query(Prisma.sql`SELECT FROM objects o WHERE o.uid = ANY (${changed}::uuid[]) ORDER BY o.uid FOR UPDATE`, transaction);
      const written: KubeObject[] = [];
      for (const write of writes) written.push(await this.#write(write, transaction));
      return written;
    });
  }

  async #write(write: Write, connection: Connection): Promise<KubeObject> {
    const { kind } = write;
    const current = write.type === 'Create' ? undefined : write.current;
    const result = write.type === 'Create' ? write.object : write.type === 'Update' ? write.next : write.final;
    const isRemoval = write.type === 'Remove';
    const { namespace, name, uid } = (current ?? result).metadata;
    const rows = await this.#query(
      Prisma.sql`
        SELECT outcome, version::text FROM corral_write(
          ${qualifiedResource(kind)}, ${namespaceOf(kind, namespace)}, ${name}, ${uid}::uuid,
          ${current ? Number(current.metadata.resourceVersion) : null}::bigint,
          ${logged(isRemoval ? undefined : result)}::json, ${logged(isRemoval ? result : undefined)}::json, ${logged(current)}::json)`,
      connection,
    );
    const [{ outcome, version }] = WriteResult.parse(rows);
    switch (outcome) {
      case 'Written':
        return withVersion(result, version);
      case 'Exists':
        throw objectExists(kind, name);
      case 'NamespaceMissing':
        throw namespaceNotFound(namespace ?? '');
      case 'NamespaceTerminating':
        throw namespaceTerminating(kind, namespace ?? '', name);
      case 'Missing':
        throw objectNotFound(kind, name);
      case 'Stale':
        throw objectConflict(kind, name);
      default:
        return assertNever(outcome, 'outcome of a write');
    }
  }

  async currentVersion(): Promise<number> {
    const rows = await this.#query(Prisma.sql`SELECT corral_current_version()::text AS current`);
    return z.tuple([z.object({ current: z.coerce.number() })]).parse(rows)[0].current;
  }

  async changesAfter(version: number, limit: number, resource?: string): Promise<readonly Change[]> {
    const ofResource = resource === undefined ? Prisma.empty : Prisma.sql`AND c.resource = ${resource}`;
    const rows = await this.#query(Prisma.sql`
      SELECT v.through::text, c.* FROM compaction v LEFT JOIN LATERAL (
        SELECT c.resource_version::text, c.type, c.resource, c.object, c.previous, c.previous_resource_version::text
        FROM changes c WHERE c.resource_version > ${version} ${ofResource} ORDER BY c.resource_version LIMIT ${limit}
      ) c ON true ORDER BY c.resource_version::bigint`);
    const parsed = z.array(z.object({ through: z.coerce.number(), resource_version: z.string().nullable() }).loose()).parse(rows);
    const oldest = parsed[0]?.through ?? 0;
    if (version < oldest) throw versionExpired(version, oldest);
    return parsed.filter((row) => row.resource_version !== null).map((row) => changeOfRow(ChangeRow.parse(row)));
  }

  /** Objects with owners that no longer exist; `owners` narrows the search to those. */
  async findAbandoned(owners?: readonly string[]): Promise<readonly Abandoned[]> {
    const narrowed = owners === undefined ? Prisma.empty : Prisma.sql`AND o.owner_references @> ANY (${owners.map((uid) => JSON.stringify([{ uid }]))}::jsonb[])`;
    const rows = await this.#query(Prisma.sql`
      SELECT o.resource, o.namespace, o.name, array_agg(r.uid) AS absent
      FROM objects o CROSS JOIN LATERAL jsonb_to_recordset(o.owner_references) AS r(uid text)
      WHERE o.owner_references <> '[]' AND o.deletion_timestamp IS NULL ${narrowed}
        AND NOT EXISTS (SELECT FROM objects owner WHERE owner.uid::text = r.uid)
      GROUP BY o.uid`);
    return z.array(Abandoned).parse(rows);
  }

  /** Objects being deleted that one of these finalizers holds. */
  async findHeldBy(finalizers: readonly string[]): Promise<readonly ObjectLocation[]> {
    const rows = await this.#query(Prisma.sql`
      SELECT o.resource, o.namespace, o.name FROM objects o WHERE o.deletion_timestamp IS NOT NULL AND o.finalizers && ${[...finalizers]}::text[]`);
    return z.array(ObjectLocation).parse(rows);
  }

  async findDependents(owner: string): Promise<readonly ObjectLocation[]> {
    const rows = await this.#query(Prisma.sql`
      SELECT o.resource, o.namespace, o.name FROM objects o WHERE o.owner_references @> ${JSON.stringify([{ uid: owner }])}::jsonb`);
    return z.array(ObjectLocation).parse(rows);
  }

  /** Forgets changes older than `before`, but keeps the newest `keep`. Answers how many were forgotten. */
  async compactChanges(before: Date, keep = 0): Promise<number> {
    const rows = await this.#query(Prisma.sql`SELECT corral_compact(${before}, ${keep}::bigint)::text AS forgotten`);
    return z.tuple([z.object({ forgotten: z.coerce.number() })]).parse(rows)[0].forgotten;
  }

  async #query(sql: Prisma.Sql, connection: Connection = this.database): Promise<unknown> {
    try {
      return await connection.$queryRaw<unknown>(sql);
    } catch (cause) {
      throw isUnavailable(cause) ? new Problem('dependency.unavailable', 'the database cannot be reached; try again', { cause, details: { retryAfterSeconds: 1 } }) : cause;
    }
  }
}

/** Prisma's codes for a server that cannot be reached, timed out, or closed the connection. */
const UNAVAILABLE = ['P1001', 'P1002', 'P1008', 'P1017', 'P2024'];
/** PostgreSQL's classes: connection exceptions, too many connections, operator intervention (shutdown). */
const UNAVAILABLE_STATES = /^(08|53|57)/;

function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Prisma.PrismaClientKnownRequestError)) return error instanceof Prisma.PrismaClientInitializationError;
  const state = (error.meta?.['code'] ?? (error.meta?.['driverAdapterError'] as { cause?: { originalCode?: string } } | undefined)?.cause?.originalCode) as string | undefined;
  return UNAVAILABLE.includes(error.code) || (error.code === 'P2010' && UNAVAILABLE_STATES.test(state ?? ''));
}

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

/** An object as the log keeps it: without its version, which is a column. */
function logged(object: KubeObject | undefined): string | null {
  if (!object) return null;
  const { resourceVersion: _version, ...metadata } = object.metadata;
  return JSON.stringify({ ...object, metadata });
}

function withVersion(object: KubeObject, version: string | null): KubeObject {
  if (version === null) throw new Error('a write was acknowledged without a version');
  return { ...object, metadata: { ...object.metadata, resourceVersion: version } };
}

function changeOfRow(row: z.output<typeof ChangeRow>): Change {
  return {
    resourceVersion: Number(row.resource_version),
    type: row.type,
    resource: row.resource,
    object: objectOfLog(row.object, row.resource_version),
    previous: row.previous && row.previous_resource_version ? objectOfLog(row.previous, row.previous_resource_version) : undefined,
  };
}
