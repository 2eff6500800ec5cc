/** Pure decisions about what a tenant may use: what an object takes, whether it fits, and what a quota's figures are after. */
export * from './machine-use.ts';
export * from './resource-use.ts';
export * from './charge.ts';
export * from './memory-limits.ts';
export * from './token-bucket.ts';
export * from './fair-queue.ts';
