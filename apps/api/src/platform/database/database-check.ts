import pg from 'pg';

const CONNECT_TIMEOUT_MS = 5_000;

/** What is wrong with the database, in one line that names the variable to change; undefined when it can be used. */
export async function findDatabaseFault(databaseUrl: string): Promise<string | undefined> {
  const { host, pathname } = new URL(databaseUrl);
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ migrated: boolean }>(`SELECT to_regproc('corral_write') IS NOT NULL AS migrated`);
    return rows[0]?.migrated ? undefined : `DATABASE_URL: the database ${pathname.slice(1)} at ${host} has no tables yet; run prisma/migrate.ts on it first`;
  } catch (error) {
    const why = error instanceof AggregateError ? error.errors.map(String).join(', ') : error instanceof Error ? error.message : String(error);
    return `DATABASE_URL: PostgreSQL at ${host} cannot be used: ${why}`;
  } finally {
    await client.end().catch(() => undefined);
  }
}
