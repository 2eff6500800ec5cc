/**
 * Applies prisma/migrations to DATABASE_URL: `node --conditions=@corral/source prisma/migrate.ts`.
 * It drives Prisma's own schema engine in its WASM form, so it needs no engine download and keeps a genuine
 * `_prisma_migrations`; `prisma migrate deploy` works on the same folder.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import * as engine from '@prisma/schema-engine-wasm/schema_engine_bg';
import { z } from 'zod';

const MIGRATIONS = join(import.meta.dirname, 'migrations');

async function loadEngine(): Promise<void> {
  const module = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const wasm = readFileSync(join(dirname(module), 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(wasm, { './schema_engine_bg.js': engine as unknown as WebAssembly.ModuleImports });
  engine.__wbg_set_wasm(instance.exports);
  const start = instance.exports['__wbindgen_start'];
  if (typeof start === 'function') start();
}

function migrationsList() {
  const lock = join(MIGRATIONS, 'migration_lock.toml');
  return {
    baseDir: MIGRATIONS,
    shadowDbInitScript: '',
    lockfile: { path: 'migration_lock.toml', content: existsSync(lock) ? readFileSync(lock, 'utf8') : null },
    migrationDirectories: readdirSync(MIGRATIONS, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort()
      .map((name) => ({
        path: name,
        migrationFile: {
          path: 'migration.sql',
          content: { tag: 'ok' as const, value: readFileSync(join(MIGRATIONS, name, 'migration.sql'), 'utf8') },
        },
      })),
  };
}

/** Sends a script as it is: the stock adapter splits it at every semicolon, also inside function bodies. */
class WholeScriptPg extends PrismaPg {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    super(pool);
    this.#pool = pool;
  }

  override async connect(): ReturnType<PrismaPg['connect']> {
    const adapter = await super.connect();
    adapter.executeScript = async (script) => {
      await this.#pool.query(script);
    };
    return adapter;
  }
}

async function migrate(connectionString: string): Promise<readonly string[]> {
  await loadEngine();
  const adapter = bindMigrationAwareSqlAdapterFactory(new WholeScriptPg(new pg.Pool({ connectionString, max: 1 })));
  const schemaEngine = await engine.SchemaEngine.new({ datamodels: undefined }, () => undefined, adapter);
  const { appliedMigrationNames } = await schemaEngine.applyMigrations({
    migrationsList: migrationsList(),
    filters: { externalTables: [], externalEnums: [] },
  });
  return appliedMigrationNames;
}

const environment = z.object({ DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }) }).safeParse(process.env);
if (!environment.success) {
  console.error('DATABASE_URL: must be the postgresql:// URL of the database to migrate');
  process.exit(1);
}
try {
  const applied = await migrate(environment.data.DATABASE_URL);
  console.log(applied.length === 0 ? 'The database is up to date' : `Applied ${applied.join(', ')}`);
  process.exit(0);
} catch (error) {
  console.error(`The migration failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
