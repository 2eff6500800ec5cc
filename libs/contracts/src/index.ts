/** What the parts of Corral say to each other: kinds and their schemas, problems, the VM process protocol, the data plane. */
export * from './quantity.ts';
export * from './metadata.ts';
export * from './problems.ts';
export * from './kind.ts';
export * from './kinds/fields.ts';
export * from './kinds/image-parts.ts';
export * from './kinds/virtual-machine.ts';
export * from './kinds/virtual-machine-snapshot.ts';
export * from './kinds/virtual-machine-image.ts';
export * from './kinds/core.ts';
export * from './kinds/label-selector.ts';
export * from './kinds/access-control.ts';
export * from './kinds/all.ts';
export * from './object-client.ts';
export * from './vm-process.ts';
export * from './data-plane.ts';
export * from './queues.ts';
