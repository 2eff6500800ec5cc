/** The API over HTTP, for whoever is not inside it: node agents, tests, the launcher. */
export * from './status-problem.ts';
export * from './ndjson.ts';
export * from './http-object-client.ts';
export * from './image-registration.ts';
