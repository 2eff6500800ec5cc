import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ModulesContainer } from '@nestjs/core';
import { GATEWAY_OPTIONS } from '@nestjs/websockets/constants.js';
import { WebSocket } from 'ws';
import { startApi, type ApiRoute, type ApiStack } from '../../../test/api-stack.ts';
import type { GatewayOptions } from '../http/gateway-server.ts';

/** What a stranger is answered; everything else is 401. A new route is closed until it is listed here, with its reason. */
const OPEN_TO_NOBODY_IN_PARTICULAR = [
  // Whoever watches over the process holds no token.
  ...read('/livez', '/readyz', '/healthz', '/version'),
  // How one becomes somebody, and stops being it.
  ...read('/sign-in', '/auth/methods', '/auth/oidc/start', '/auth/oidc/callback'),
  'POST /auth/sessions',
  'DELETE /auth/sessions',
  // Whoever verifies a service account's token elsewhere: public keys.
  ...read('/.well-known/openid-configuration', '/openid/v1/jwks'),
  // The console's files hold no secret.
  ...read('/*'),
];

const MACHINES = '/apis/corral.dev/v1/namespaces/:namespace/virtualmachines';
const SNAPSHOTS = '/apis/corral.dev/v1/namespaces/:namespace/virtualmachinesnapshots';
const EVENTS = '/api/v1/namespaces/:namespace/events';

/** Writes that the node called `any` is not forbidden; everything else is 403. Its Lease is in a namespace that is not asked for here. */
const WRITES_OF_NODES = [
  ...created('/api/v1/nodes', EVENTS, '/api/v1/events'),
  ...updated('/api/v1/nodes/:name', '/api/v1/nodes/:name/status', `${EVENTS}/:name`),
  ...updated(`${MACHINES}/:name`, `${MACHINES}/:name/status`, `${SNAPSHOTS}/:name/status`),
  // Questions about oneself.
  ...created(...['selfsubjectaccessreviews', 'selfsubjectrulesreviews'].map((name) => `/apis/authorization.k8s.io/v1/${name}`)),
  ...created(...['v1', 'v1beta1', 'v1alpha1'].map((version) => `/apis/authentication.k8s.io/${version}/selfsubjectreviews`)),
  // What anybody with a token may do with it, or without one.
  ...created('/auth/tickets', '/auth/sessions'),
  'DELETE /auth/sessions',
];

function read(...paths: string[]): string[] {
  return paths.flatMap((path) => [`GET ${path}`, `HEAD ${path}`]);
}
function created(...paths: string[]): string[] {
  return paths.map((path) => `POST ${path}`);
}
function updated(...paths: string[]): string[] {
  return paths.flatMap((path) => [`PUT ${path}`, `PATCH ${path}`]);
}

const nameOf = ({ method, path }: ApiRoute): string => `${method} ${path}`;
/** A path the pattern matches. */
const pathFor = (pattern: string): string => pattern.replace(/:\w+/g, 'any').replace('*', 'any');
const unique = (names: readonly string[]): string[] => [...new Set(names)].sort();

let stack: ApiStack;
const consoleDir = mkdtempSync(join(tmpdir(), 'corral-console-'));
beforeAll(async () => {
  writeFileSync(join(consoleDir, 'index.html'), '<!doctype html>');
  stack = await startApi({ CORRAL_CONSOLE_DIR: consoleDir });
}, 60_000);
afterAll(async () => {
  await stack.stop();
  rmSync(consoleDir, { recursive: true, force: true });
}, 30_000);

async function statusOf({ method, path }: ApiRoute, headers: Record<string, string> = {}): Promise<number | undefined> {
  const call = request(`${stack.url}${pathFor(path)}`, { method, headers }).end();
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  response.destroy();
  return response.statusCode;
}

async function answering(routes: readonly ApiRoute[], is: (status: number | undefined) => boolean, headers?: Record<string, string>): Promise<string[]> {
  const names: string[] = [];
  for (const route of routes) if (is(await statusOf(route, headers))) names.push(nameOf(route));
  return unique(names);
}

it('there are routes to ask', () => {
  expect(stack.routes.map(nameOf)).toEqual(expect.arrayContaining([`POST ${MACHINES}`, `POST ${MACHINES}/:name/exec`, 'GET /*', 'POST /auth/tickets']));
});

it('nobody reaches a route that is not meant for everybody', async () => {
  expect(await answering(stack.routes, (status) => status !== 401)).toEqual(unique(OPEN_TO_NOBODY_IN_PARTICULAR));
});

it('a node writes nothing but what nodes write', async () => {
  const writes = stack.routes.filter(({ method }) => !['GET', 'HEAD', 'OPTIONS'].includes(method));
  // 405: there is no such write.
  expect(await answering(writes, (status) => status !== 403 && status !== 405, { authorization: `Bearer ${await stack.nodeToken('any')}` })).toEqual(unique(WRITES_OF_NODES));
});

describe('WebSockets', () => {
  function gateways(): string[] {
    const providers = [...stack.app.get(ModulesContainer).values()].flatMap((module) => [...module.providers.values()]);
    const options = providers.map(({ metatype }) => (metatype ? (Reflect.getMetadata(GATEWAY_OPTIONS, metatype) as GatewayOptions | undefined) : undefined));
    return options.flatMap((found) => (found ? [found.path] : [])).sort();
  }

  /** The status a handshake ends with; 101 when it succeeds. */
  async function handshake(path: string, headers: Record<string, string> = {}): Promise<number | undefined> {
    const socket = new WebSocket(`${stack.url.replace('http', 'ws')}${pathFor(path)}`, { headers });
    socket.on('error', () => undefined);
    try {
      return await Promise.race([
        once(socket, 'open').then(() => 101),
        once(socket, 'unexpected-response').then(([, response]) => (response as IncomingMessage).statusCode),
      ]);
    } finally {
      socket.terminate();
    }
  }

  it('are closed to nobody and, where they lead into a guest, to nodes', async () => {
    expect(gateways()).toEqual([`${MACHINES}/:name/exec`, `${MACHINES}/:name/serial`, '/live']);
    for (const path of gateways()) {
      expect([path, await handshake(path)]).toEqual([path, 401]);
      expect([path, await handshake(path, { authorization: `Bearer ${await stack.nodeToken('any')}` })]).toEqual([path, path === '/live' ? 101 : 403]);
    }
  });
});
