/** The API over HTTP: CorralClient for programs of users, HttpObjectClient for parts of Corral that share its kinds. */
export * from './status-problem.ts';
export * from './ndjson.ts';
export * from './connection.ts';
export * from './http-object-client.ts';
export * from './node-token.ts';
export * from './resource.ts';
export * from './resource-client.ts';
export * from './channel-stream.ts';
export * from './machine-client.ts';
export * from './corral-client.ts';
export * as resources from './openapi/resources.ts';
export * from './image-registration.ts';
