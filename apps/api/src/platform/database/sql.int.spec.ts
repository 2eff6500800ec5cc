import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres, type EmbeddedPostgres } from '@corral/embedded';
import { TcpProxy } from '@corral/testing';
import type { ApiConfig } from '../config/api-config.ts';
import { Sql } from './sql.ts';

const ONE = { name: 'one', text: 'SELECT 1 AS one', values: [] };

describe('statements', () => {
  const home = mkdtempSync(join(tmpdir(), 'corral-sql-'));
  let postgres: EmbeddedPostgres;
  let path: TcpProxy;
  beforeAll(async () => {
    postgres = await startPostgres({ home, durability: 'Test' });
    path = await TcpProxy.to(postgres.url);
  }, 60_000);
  afterAll(async () => {
    await path.stop();
    await postgres.stop();
    rmSync(home, { recursive: true, force: true });
  });

  it('are given up when packets are lost, and go through again when they no longer are', async () => {
    const url = new URL(postgres.url);
    url.port = new URL(path.url).port;
    const sql = new Sql({ databaseUrl: url.href } as ApiConfig, 500);
    expect(await sql.query(ONE)).toEqual([{ one: 1 }]);
    path.cut();
    await expect(sql.query(ONE)).rejects.toMatchObject({ code: 'dependency.unavailable' });
    path.heal();
    expect(await sql.query(ONE)).toEqual([{ one: 1 }]);
    await sql.onApplicationShutdown();
  });
});
