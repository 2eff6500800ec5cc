/** What makes a kind an API: decoding, validation, selectors, patches, tables, discovery, the Store port. Pure. */
export * from './refusals.ts';
export * from './field-path.ts';
export * from './decode.ts';
export * from './metadata-rules.ts';
export * from './incoming.ts';
export * from './candidate.ts';
export * from './deletion.ts';
export * from './label-selector.ts';
export * from './field-selector.ts';
export * from './selection.ts';
export * from './store.ts';
export * from './patch.ts';
export * from './representation.ts';
export * from './request-attributes.ts';
export * from './discovery.ts';
export * from './openapi.ts';
export * from './list-options.ts';
