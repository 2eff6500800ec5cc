/** What VM processes load of the contracts: all of it without zod, which would cost each of them 6 MB. Types come from the whole. */
export * from './problems.ts';
export * from './quantity.ts';
export * from './kube-time.ts';
export * from './exec-result.ts';
export * from './vm-process.ts';
