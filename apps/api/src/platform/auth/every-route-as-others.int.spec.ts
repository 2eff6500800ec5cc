import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { apiPath, apiVersionOf, KINDS, type KindDefinition } from '@corral/contracts';
import { Controller, Get, Module } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { WebSocketGateway } from '@nestjs/websockets';
import { GATEWAY_OPTIONS } from '@nestjs/websockets/constants.js';
import { until } from '@corral/testing';
import { SignJWT, decodeJwt } from 'jose';
import { WebSocket } from 'ws';
import { startApi, type ApiRoute, type ApiStack } from '../../../test/api-stack.ts';
import { PlatformModule } from '../../roles/app.module.ts';
import { createApplication, startApplication } from '../../roles/application.ts';
import { Database } from '../database/database.ts';
import type { GatewayOptions } from '../http/gateway-server.ts';
import { guardOf } from './route-guards.ts';
import { SIGNING_ALGORITHM, SigningKeys } from './signing-keys.ts';

/** The name of every object under attack, and what is in them: wherever that turns up, something leaked. */
const PRIZE = 'prize';
const CONTENT = 'content-7f3a9c';
const VICTIM = 'team-a';

/**
 * Resources that somebody who has rights in another namespace only may ask for nevertheless. Everything else of every other
 * tenant, and of the cluster, is 403. A new route is forbidden until it is listed here, with its reason.
 */
const OPEN_TO_OTHERS = [
  // Questions about oneself.
  ...['v1', 'v1beta1', 'v1alpha1'].map((version) => `POST /apis/authentication.k8s.io/${version}/selfsubjectreviews`),
  'POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
  'POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
  // What machines can be made from, and how urgent they may be: the cluster's, for everybody to choose from.
  ...['/apis/corral.dev/v1/virtualmachineimages', '/apis/scheduling.k8s.io/v1/priorityclasses']
    .flatMap((collection) => [collection, `${collection}/:name`, `${collection}/:name/wait`])
    .flatMap((path) => [`GET ${path}`, `HEAD ${path}`]),
];

let stack: ApiStack;
/** Every way a stranger may come, and what they are answered where something is guarded. */
const strangers: { readonly who: string; readonly headers: Record<string, string>; readonly status: 401 | 403 }[] = [];

beforeAll(async () => {
  stack = await startApi();
  const write = async (path: string, body: object): Promise<unknown> => {
    const answer = await stack.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  };
  for (const name of [VICTIM, 'team-b']) await write('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  const metadata = { name: PRIZE, labels: { held: CONTENT } };
  await write(`/api/v1/namespaces/${VICTIM}/secrets`, { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { text: CONTENT } });
  await write(`/api/v1/namespaces/${VICTIM}/serviceaccounts`, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
  await write(`/api/v1/namespaces/${VICTIM}/events`, { apiVersion: 'v1', kind: 'Event', metadata, involvedObject: { name: PRIZE, namespace: VICTIM }, message: CONTENT });
  await write(`/apis/corral.dev/v1/namespaces/${VICTIM}/apikeys`, { apiVersion: 'corral.dev/v1', kind: 'APIKey', metadata, spec: { description: CONTENT } });
  await write(`/apis/rbac.authorization.k8s.io/v1/namespaces/${VICTIM}/roles`, { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata, rules: [] });

  // Who owns all of another namespace.
  const account = async (name: string): Promise<string> => {
    await write('/api/v1/namespaces/team-b/serviceaccounts', { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
    await write('/apis/rbac.authorization.k8s.io/v1/namespaces/team-b/rolebindings', {
      apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' }, subjects: [{ kind: 'ServiceAccount', name, namespace: 'team-b' }],
    });
    const { status } = (await write(`/api/v1/namespaces/team-b/serviceaccounts/${name}/token`, {})) as { status: { token: string } };
    return status.token;
  };
  const key = async (name: string, spec: object = {}): Promise<string> =>
    ((await write('/apis/corral.dev/v1/namespaces/team-b/apikeys', { apiVersion: 'corral.dev/v1', kind: 'APIKey', metadata: { name }, spec })) as { status: { token: string } }).status.token;
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const whoAmI = async (headers: Record<string, string>) => (await fetch(`${stack.url}/auth/session`, { headers })).status;

  const other = await account('owner');
  const { id, privateKey } = await stack.app.get(SigningKeys).current();
  const expired = await new SignJWT({ ...decodeJwt(other), exp: Math.floor(Date.now() / 1000) - 60 }).setProtectedHeader({ alg: SIGNING_ALGORITHM, kid: id }).sign(privateKey);
  // The administrator's own, so that nothing but the end of the credential stands between it and everything.
  const [revokedAccount, revokedKey] = [await account('leaving'), await key('leaving', { scope: { namespaces: ['*'] } })];
  const signedIn = await fetch(`${stack.url}/auth/sessions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token: stack.config.adminToken }) });
  const cookie = signedIn.headers.get('set-cookie')?.split(';', 1)[0] ?? '';
  for (const headers of [bearer(revokedAccount), bearer(revokedKey), { cookie }]) expect(await whoAmI(headers)).toBe(200);
  for (const path of ['/api/v1/namespaces/team-b/serviceaccounts/leaving', '/apis/corral.dev/v1/namespaces/team-b/apikeys/leaving']) await stack.fetch(path, { method: 'DELETE' });
  await fetch(`${stack.url}/auth/sessions`, { method: 'DELETE', headers: { cookie, 'x-corral-console': '1' } });
  strangers.push(
    { who: 'no one', headers: {}, status: 401 },
    { who: 'another tenant', headers: bearer(other), status: 403 },
    { who: 'an administrator’s key that reaches another namespace only', headers: bearer(await key('narrow')), status: 403 },
    { who: 'an expired token', headers: bearer(expired), status: 401 },
    { who: 'the token of an account that was deleted', headers: bearer(revokedAccount), status: 401 },
    { who: 'an administrator’s key that was deleted', headers: bearer(revokedKey), status: 401 },
    { who: 'an administrator’s session that was signed out', headers: { cookie, 'x-corral-console': '1' }, status: 401 },
  );
  for (const { who, headers, status } of strangers) {
    await until(async () => (await whoAmI(headers)) === (status === 401 ? 401 : 200), { timeoutMs: 5_000, what: `${who} being ${status === 401 ? 'refused' : 'known'}` });
  }
}, 120_000);
afterAll(() => stack.stop(), 30_000);

const nameOf = ({ method, path }: ApiRoute): string => `${method} ${path}`;
/** The victim's object behind a pattern. */
const targetOf = (pattern: string): string =>
  pattern.replace(':namespace', VICTIM).replace(':name', PRIZE).replace(':sha256', 'a'.repeat(64)).replace(/:\w+/g, 'any').replace('*', 'any');

function kindOf(path: string): KindDefinition | undefined {
  return KINDS.find((kind) => path.startsWith(apiPath({ ...kind, scope: 'Cluster' }).slice(0, -kind.plural.length)) && path.split('/').includes(kind.plural));
}

/** What would do harm if it were let through. */
function bodyFor({ method, path }: ApiRoute): string | undefined {
  if (['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(method)) return undefined;
  const kind = kindOf(path);
  return JSON.stringify({ ...(kind ? { apiVersion: apiVersionOf(kind), kind: kind.kind } : {}), metadata: { name: path.includes(':name') ? PRIZE : 'planted', labels: { planted: 'yes' } } });
}

async function attack(route: ApiRoute, headers: Record<string, string>): Promise<{ status: number; text: string }> {
  const body = bodyFor(route);
  const contentType = route.method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const call = request(`${stack.url}${targetOf(route.path)}`, { method: route.method, headers: { ...headers, ...(body === undefined ? {} : { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }) } });
  call.end(body);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, text };
}

/** Everything the victim has, and everything that bears the attacker's mark. */
async function belongings(): Promise<string> {
  const rows = await stack.app.get(Database).$queryRaw<{ line: string }[]>`
    SELECT concat_ws(' ', resource, namespace, name, uid, object ->> 'spec', object #>> '{metadata,labels}') AS line FROM objects
    WHERE namespace = ${VICTIM} OR name = ${VICTIM} OR object::text LIKE '%planted%' ORDER BY 1`;
  return rows.map(({ line }) => line).join('\n');
}

const isGuarded = ({ method, path }: ApiRoute): boolean => /^\/apis?\/.*\/.*\//.test(path) || guardOf(method.toLowerCase(), targetOf(path)) !== 'Open';
/** Everybody signed in may discover what there is, and ask about themselves. */
const isForAnybody = (route: ApiRoute): boolean =>
  OPEN_TO_OTHERS.includes(nameOf(route)) || /^\/(api|apis|openapi)(\/[^/]+){0,2}(\/\*)?$/.test(route.path) || guardOf(route.method.toLowerCase(), targetOf(route.path)) === 'Authenticated';

it('every operation of the OpenAPI document is a route that is walked here', async () => {
  const index = (await (await stack.fetch('/openapi/v3')).json()) as { paths: Record<string, { serverRelativeURL: string }> };
  const walked = new Set(stack.routes.map(({ method, path }) => `${method} ${path.replace(/:\w+|\*/g, '{}')}`));
  const missing: string[] = [];
  let seen = 0;
  for (const { serverRelativeURL } of Object.values(index.paths)) {
    const { paths } = (await (await stack.fetch(serverRelativeURL)).json()) as { paths: Record<string, object> };
    for (const [path, operations] of Object.entries(paths)) {
      for (const method of Object.keys(operations).filter((name) => ['get', 'put', 'post', 'patch', 'delete', 'head'].includes(name))) {
        const name = `${method.toUpperCase()} ${path.replace(/\/$/, '').replace(/\{\w+\}/g, '{}')}`;
        seen += 1;
        if (!walked.has(name) && !gateways().some((gateway) => `GET ${gateway.replace(/:\w+/g, '{}')}` === name)) missing.push(name);
      }
    }
  }
  expect(missing).toEqual([]);
  expect(seen).toBeGreaterThan(150);
});

it('no stranger gets through any route, learns anything, or changes anything', async () => {
  const before = await belongings();
  expect(before.split('\n').length).toBeGreaterThan(6);
  const wrong: string[] = [];
  let asked = 0;
  for (const { who, headers, status } of strangers) {
    for (const route of stack.routes.filter(isGuarded)) {
      const answer = await attack(route, headers);
      asked += 1;
      if (answer.text.includes(CONTENT)) wrong.push(`${who}: ${nameOf(route)} leaks`);
      // 405: there is no such method, for anybody.
      const isFine = status === 403 && isForAnybody(route) ? answer.status !== 401 : answer.status === status;
      if (!isFine) wrong.push(`${who}: ${nameOf(route)} → ${answer.status}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(asked).toBeGreaterThan(1_000);
  expect(await belongings()).toBe(before);
}, 300_000);

function gateways(): string[] {
  const providers = [...stack.app.get(ModulesContainer).values()].flatMap((module) => [...module.providers.values()]);
  const options = providers.map(({ metatype }) => (metatype ? (Reflect.getMetadata(GATEWAY_OPTIONS, metatype) as GatewayOptions | undefined) : undefined));
  return options.flatMap((found) => (found ? [found.path] : [])).sort();
}

it('no stranger opens any WebSocket', async () => {
  const wrong: string[] = [];
  for (const { who, headers, status } of strangers) {
    for (const path of gateways()) {
      const socket = new WebSocket(`${stack.url.replace('http', 'ws')}${targetOf(path)}`, { headers: { ...headers, origin: stack.url } });
      socket.on('error', () => undefined);
      const answer = await Promise.race([
        once(socket, 'open').then(() => 101),
        once(socket, 'unexpected-response').then(([, response]) => (response as IncomingMessage).statusCode),
      ]);
      socket.terminate();
      const expected = path === '/live' && status === 403 ? 101 : status;
      if (answer !== expected) wrong.push(`${who}: ${path} → ${answer ?? 0}`);
    }
  }
  expect(gateways().length).toBeGreaterThan(2);
  expect(wrong).toEqual([]);
});

@Controller()
class BrandNewController {
  @Get('auth/brand-new')
  answer(): string {
    return 'open to whom?';
  }
}
@Module({ controllers: [BrandNewController] })
class BrandNewModule {}

@WebSocketGateway<GatewayOptions>({ path: '/brand-new' })
class BrandNewGateway {}
@Module({ providers: [BrandNewGateway] })
class BrandNewSocketModule {}

it.each([
  ['route', BrandNewModule, 'GET /auth/brand-new has no guard'],
  ['WebSocket', BrandNewSocketModule, 'GET /brand-new has no guard'],
])('a server with a %s nobody said who may ask for does not start', async (_what, module, message) => {
  const root = { module, imports: [PlatformModule.register({ ...stack.config, port: 0, logLevel: 'silent' })] };
  const app = await createApplication(stack.config, root);
  await expect(startApplication(app, { ...stack.config, port: 0 })).rejects.toThrow(message);
  await app.close();
});
