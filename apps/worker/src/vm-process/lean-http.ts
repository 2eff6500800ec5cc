/**
 * Node's own HTTP, without what an import of it brings along: an ES import reads every export of `node:http`, and one of
 * them is a WebSocket client that costs each VM process 5 MB and 40 ms of CPU.
 */
export const { createServer, request } = process.getBuiltinModule('node:http');
