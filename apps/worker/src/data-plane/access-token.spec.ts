import { DATA_PLANE_TOKEN_TYPE, dataPlaneAudience, NodeUsageClaims, Problem } from '@corral/contracts';
import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose';
import { AccessTokens } from './access-token.ts';
import { PublicKeys } from './public-keys.ts';

interface Key {
  readonly jwk: JWK;
  sign(change?: { readonly nodeName?: string; readonly typ?: string; readonly kid?: string; readonly expires?: string }): Promise<string>;
}

async function makeKey(kid: string): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' },
    sign: async ({ nodeName = 'worker-1', typ = DATA_PLANE_TOKEN_TYPE, kid: claimed = kid, expires = '60s' } = {}) =>
      `Bearer ${await new SignJWT({ operation: 'usage' }).setProtectedHeader({ alg: 'ES256', kid: claimed, typ }).setAudience(dataPlaneAudience(nodeName)).setIssuedAt().setExpirationTime(expires).sign(privateKey)}`,
  };
}

/** An API that publishes `keys`, or does not answer. */
function startNode(...published: Key[]) {
  const api = { published, isAway: false, asked: 0, nowMs: 0, failures: 0 };
  const keys = new PublicKeys({
    now: () => api.nowMs,
    onFailure: () => api.failures++,
    fetch: () => {
      api.asked++;
      return api.isAway ? Promise.reject(new Problem('dependency.unavailable', 'away')) : Promise.resolve({ keys: api.published.map(({ jwk }) => jwk) });
    },
  });
  const tokens = new AccessTokens(keys, 'worker-1');
  const verify = (authorization: string): Promise<string> => tokens.verify(authorization, NodeUsageClaims).then(() => 'taken', (error: unknown) => (error instanceof Problem ? error.code : String(error)));
  return { api, verify };
}

let one: Key;
let two: Key;
beforeAll(async () => {
  [one, two] = await Promise.all([makeKey('one'), makeKey('two')]);
});

it('takes what the API signed for this node, and nothing that is for another node, of another type, too old, or signed by anybody else', async () => {
  const { verify } = startNode(one);
  expect(await verify(await one.sign())).toBe('taken');
  expect(await verify(await one.sign({ nodeName: 'worker-2' }))).toBe('request.unauthenticated');
  expect(await verify(await one.sign({ typ: 'JWT' }))).toBe('request.unauthenticated');
  expect(await verify(await one.sign({ expires: '-30s' }))).toBe('request.unauthenticated');
  expect(await verify(await two.sign({ kid: 'one' }))).toBe('request.unauthenticated');
});

it('takes no token signed with a public key as if it were a shared secret', async () => {
  const { verify } = startNode(one);
  const token = await new SignJWT({ operation: 'usage' }).setProtectedHeader({ alg: 'HS256', kid: 'one', typ: DATA_PLANE_TOKEN_TYPE }).setAudience(dataPlaneAudience('worker-1')).setIssuedAt().setExpirationTime('60s').sign(new TextEncoder().encode(JSON.stringify(one.jwk)));
  expect(await verify(`Bearer ${token}`)).toBe('request.unauthenticated');
});

it('asks the API again for a key it does not know, but not at every made-up one', async () => {
  const { api, verify } = startNode(one);
  await verify(await one.sign());
  api.published.push(two);
  api.nowMs += 1_000;
  expect(await verify(await two.sign())).toBe('taken');
  expect(api.asked).toBe(2);
  for (const kid of ['made', 'up', 'ids']) expect(await verify(await one.sign({ kid }))).toBe('request.unauthenticated');
  expect(api.asked).toBe(2);
});

it('goes on with the keys it has while the API is away, and says so of a key it cannot ask about', async () => {
  const { api, verify } = startNode(one);
  await verify(await one.sign());
  api.isAway = true;
  api.nowMs += 3_600_000;
  expect(await verify(await one.sign())).toBe('taken');
  expect(api).toMatchObject({ asked: 2, failures: 1 });
  api.nowMs += 1_000;
  expect(await verify(await two.sign())).toBe('dependency.unavailable');
});

it('gives up a key the API does not publish any more', async () => {
  const { api, verify } = startNode(one, two);
  await verify(await one.sign());
  api.published.shift();
  api.nowMs += 600_001;
  await verify(await two.sign());
  await Promise.resolve();
  expect(await verify(await one.sign())).toBe('request.unauthenticated');
});
