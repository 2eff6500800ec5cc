import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

const SCRIPT = resolve(import.meta.dirname, '../../../../../prisma/migrate.ts');

it.each([['is not there', {}], ['is empty', { DATABASE_URL: '' }], ['is no URL', { DATABASE_URL: 'corral' }], ['names another database', { DATABASE_URL: 'mysql://127.0.0.1/corral' }]])(
  'says in one line that DATABASE_URL %s',
  (_what, environment) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', SCRIPT], {
      env: { PATH: process.env['PATH'], ...environment },
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect([status, stdout, stderr]).toEqual([1, '', 'DATABASE_URL: must be the postgresql:// URL of the database to migrate\n']);
  },
  40_000,
);
