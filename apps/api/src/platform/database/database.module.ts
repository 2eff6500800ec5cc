import { Global, Module } from '@nestjs/common';
import { CachedStore } from './cached-store.ts';
import { ChangeFeed } from './change-feed.ts';
import { ChangeLogController } from './change-log.controller.ts';
import { ChangeLogCompaction } from './change-log-compaction.ts';
import { Database } from './database.ts';
import { PostgresStore } from './postgres-store.ts';
import { Sql } from './sql.ts';
import { StoreMetrics } from './store-metrics.ts';

@Global()
@Module({ controllers: [ChangeLogController], providers: [Database, Sql, PostgresStore, ChangeFeed, CachedStore, StoreMetrics, ChangeLogCompaction], exports: [Database, Sql, PostgresStore, CachedStore, ChangeFeed] })
export class DatabaseModule {}
