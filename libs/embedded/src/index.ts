/**
 * PostgreSQL, Redis and S3 for a machine that has none: real servers as child processes, on 127.0.0.1 only, with random
 * passwords, their state under one home folder. They die with the process that started them, even on kill -9.
 */
export { startPostgres, type EmbeddedPostgres, type PostgresOptions } from './postgres.ts';
export { startRedis, type EmbeddedRedis, type RedisOptions } from './redis.ts';
export { startObjectStore, type EmbeddedObjectStore, type ObjectStoreOptions } from './object-store.ts';
export { leash, StartFailure } from './child.ts';
export { logTail, openLog, rotateLog } from './log-file.ts';
export { findProgram } from './program.ts';
