/**
 * What a node does next about one VM, decided purely: the machine's states, when it starts again, what its status says,
 * and the next step. The node agent only performs what is decided here.
 */
export * from './hibernation.ts';
export * from './machine-state.ts';
export * from './machine-transition.ts';
export * from './restart.ts';
export * from './vm-status.ts';
export * from './machine-plan.ts';
