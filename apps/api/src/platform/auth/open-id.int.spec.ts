import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { jest } from '@jest/globals';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import getPort from 'get-port';
import Provider from 'oidc-provider';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';

jest.setTimeout(60_000);

const CLIENT = 'corral-console';

interface SigningKey {
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

async function makeKey(kid: string): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { privateKey, jwk: { ...(await exportJWK(privateKey)), kid, use: 'sig', alg: 'RS256' } };
}

/** A whole OpenID provider, with the people of this test. */
async function startProvider(port: number, redirectUri: string, keys: readonly SigningKey[]): Promise<Server> {
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{ client_id: CLIENT, token_endpoint_auth_method: 'none', redirect_uris: [redirectUri], grant_types: ['authorization_code'], response_types: ['code'] }],
    jwks: { keys: keys.map(({ jwk }) => jwk) as never },
    pkce: { required: () => true },
    claims: { openid: ['sub'], profile: ['groups', 'department'] },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: true } },
    cookies: { keys: ['of the test'] },
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, groups: [`team-${id}`, 'everybody'], department: id === 'mallory' ? 'elsewhere' : 'engineering' }),
    }),
  });
  const handle = provider.callback();
  const server = createServer((request, response) => void handle(request, response)).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const stopProvider = async (server: Server): Promise<void> => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
};

let api: ApiFixture;
let provider: Server;
let issuer: string;
let key: SigningKey;
let providerPort: number;
const consolePort = await getPort();
const redirectUri = `http://127.0.0.1:${consolePort}/auth/oidc/callback`;
beforeAll(async () => {
  // The provider tells at length that it is not set up for production.
  for (const level of ['info', 'warn'] as const) jest.spyOn(console, level).mockImplementation(() => undefined);
  providerPort = await getPort();
  issuer = `http://127.0.0.1:${providerPort}`;
  key = await makeKey('first');
  provider = await startProvider(providerPort, redirectUri, [key]);
  api = await startApi({
    env: {
      CORRAL_OIDC_ISSUER: issuer, CORRAL_OIDC_CLIENT_ID: CLIENT, CORRAL_OIDC_AUDIENCES: 'kubectl', CORRAL_OIDC_REQUIRED_CLAIMS: 'department=engineering',
      CORRAL_OIDC_SIGNING_ALGORITHMS: 'RS256', CORRAL_PUBLIC_URL: `http://127.0.0.1:${consolePort}`,
    },
  });
}, 60_000);
afterAll(async () => {
  await stopProvider(provider);
  await api.stop();
});

const now = (): number => Math.floor(Date.now() / 1000);
async function idToken(claims: object = {}, { privateKey, jwk }: SigningKey = key): Promise<string> {
  return new SignJWT({ iss: issuer, aud: CLIENT, sub: 'ana', iat: now(), exp: now() + 300, department: 'engineering', groups: ['team-a'], ...claims })
    .setProtectedHeader({ alg: 'RS256', kid: jwk.kid ?? '' })
    .sign(privateKey);
}
const ask = (token: string) => api.request('GET', '/auth/session', undefined, { authorization: `Bearer ${token}` });

describe('ID tokens as bearer tokens', () => {
  it('say who it is, with prefixes that keep the provider’s names apart from all others', async () => {
    expect((await ask(await idToken())).body).toMatchObject({ user: { name: 'oidc:ana', groups: ['oidc:team-a', 'system:authenticated'] } });
    expect((await ask(await idToken({ aud: ['kubectl', 'others'], groups: 'single' }))).body).toMatchObject({ user: { groups: ['oidc:single', 'system:authenticated'] } });
  });

  it.each([
    ['is for another client', { aud: 'other' }],
    ['is over', { exp: now() - 120 }],
    ['is of tomorrow', { nbf: now() + 86_400 }],
    ['has no end', { exp: undefined }],
    ['lacks a required claim', { department: undefined }],
    ['has another value in a required claim', { department: 'elsewhere' }],
    ['names nobody', { sub: undefined }],
    ['comes from another issuer', { iss: 'https://elsewhere.example' }],
  ])('one that %s is refused', async (_what, claims) => {
    expect((await ask(await idToken(claims))).status).toBe(401);
  });

  it('clocks may differ by half a minute', async () => {
    expect((await ask(await idToken({ exp: now() - 10, iat: now() - 300 }))).status).toBe(200);
    expect((await ask(await idToken({ nbf: now() + 10 }))).status).toBe(200);
  });

  it('one that somebody else signed, or in another way, is refused', async () => {
    const other = await makeKey('first');
    expect((await ask(await idToken({}, other))).status).toBe(401);
    const symmetric = await new SignJWT({ iss: issuer, aud: CLIENT, sub: 'ana', exp: now() + 300, department: 'engineering' }).setProtectedHeader({ alg: 'HS256', kid: 'first' }).sign(new TextEncoder().encode(JSON.stringify(key.jwk.n)));
    expect((await ask(symmetric)).status).toBe(401);
  });
});

/** A browser: it follows redirects one by one and keeps cookies per host. */
class Browser {
  readonly #cookies = new Map<string, string>();

  async go(url: string, form?: Record<string, string>): Promise<{ status: number; location: string | undefined; text: string }> {
    const { host } = new URL(url);
    const jar = [...this.#cookies].filter(([name]) => name.startsWith(`${host} `)).map(([name, value]) => `${name.split(' ')[1] ?? ''}=${value}`);
    const answer = await fetch(url, { redirect: 'manual', headers: jar.length > 0 ? { cookie: jar.join('; ') } : {}, ...(form ? { method: 'POST', body: new URLSearchParams(form) } : {}) });
    for (const line of answer.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split('; ');
      const [name = '', value = ''] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      const isGone = value === '' || attributes.some((attribute) => /^max-age=0$/i.test(attribute) || /^expires=Thu, 01 Jan 1970/i.test(attribute));
      if (isGone) this.#cookies.delete(`${host} ${name}`);
      else this.#cookies.set(`${host} ${name}`, value);
    }
    const location = answer.headers.get('location');
    return { status: answer.status, location: location === null ? undefined : new URL(location, url).href, text: await answer.text() };
  }

  cookie(host: string, name: string): string | undefined {
    return this.#cookies.get(`${host} ${name}`);
  }
}

/** The console's port is one the provider was told beforehand; the server has its own. */
const atApi = (url: string): string => url.replace(`http://127.0.0.1:${consolePort}`, api.url);

/** From the start to where the provider sends the browser back; stops there. */
async function comeBack(browser: Browser, person: string, path = '/auth/oidc/start?return=%2Fmachines'): Promise<string> {
  let { location } = await browser.go(`${api.url}${path}`);
  for (let step = 0; step < 12 && location !== undefined; step += 1) {
    if (location.startsWith(redirectUri)) return location;
    const page = await browser.go(location);
    const prompt = /name="prompt" value="(\w+)"/.exec(page.text)?.[1];
    const action = /action="([^"]+)"/.exec(page.text)?.[1];
    location = action === undefined ? page.location : (await browser.go(new URL(action, location).href, { prompt: prompt ?? '', login: person, password: 'x' })).location;
  }
  throw new Error('the provider never sent the browser back');
}

const sessionOf = async (browser: Browser): Promise<unknown> => {
  const session = browser.cookie(new URL(api.url).host, 'corral_session');
  return (await fetch(`${api.url}/auth/session`, { headers: { cookie: `corral_session=${session ?? ''}` } })).json();
};

describe('sign-in to the console', () => {
  it('begins a session as who the provider says, and comes back to where one was', async () => {
    const browser = new Browser();
    const back = await comeBack(browser, 'ana');
    const { status, location } = await browser.go(atApi(back));
    expect([status, location]).toEqual([303, `${api.url}/machines`]);
    expect(await sessionOf(browser)).toMatchObject({ user: { name: 'oidc:ana', groups: ['oidc:team-ana', 'oidc:everybody', 'system:authenticated'] } });
    // Its code is used up, and so is what was kept for it.
    expect((await browser.go(atApi(back))).location).toBe(`${api.url}/?sign-in=refused`);
  });

  it('is offered on the sign-in page', async () => {
    expect(await (await fetch(`${api.url}/auth/methods`)).json()).toEqual({ token: true, openId: { issuer } });
  });

  it('asks the provider with a challenge, a state and a nonce', async () => {
    const { location = '' } = await new Browser().go(`${api.url}/auth/oidc/start`);
    const { searchParams } = new URL(location);
    expect(Object.fromEntries(searchParams)).toMatchObject({ client_id: CLIENT, response_type: 'code', code_challenge_method: 'S256', redirect_uri: redirectUri });
    for (const name of ['state', 'nonce', 'code_challenge']) expect(searchParams.get(name)?.length).toBeGreaterThan(20);
  });

  it.each([
    ['somebody who may not', 'mallory', (url: string) => url],
    ['a changed state', 'ana', (url: string) => url.replace(/state=[^&]+/, 'state=another')],
    ['a changed code', 'ana', (url: string) => url.replace(/code=[^&]+/, 'code=another')],
    ['a refusal of the provider', 'ana', (url: string) => `${url.split('?')[0] ?? ''}?error=access_denied&state=${new URL(url).searchParams.get('state') ?? ''}`],
  ])('refuses %s', async (_title, person, change) => {
    const browser = new Browser();
    const { location } = await browser.go(atApi(change(await comeBack(browser, person))));
    expect([location, browser.cookie(new URL(api.url).host, 'corral_session')]).toEqual([`${api.url}/?sign-in=refused`, undefined]);
  });

  it('refuses an answer that another browser began: nobody is signed in as somebody else unasked', async () => {
    const back = await comeBack(new Browser(), 'ana');
    const victim = new Browser();
    expect((await victim.go(atApi(back))).location).toBe(`${api.url}/?sign-in=refused`);
    await victim.go(`${api.url}/auth/oidc/start`);
    expect((await victim.go(atApi(back))).location).toBe(`${api.url}/?sign-in=refused`);
  });

  it.each(['//evil.example', '/\\evil.example', 'https://evil.example', '/%5cevil.example', '\t//evil.example'])('never leaves for %s', async (wish) => {
    const browser = new Browser();
    const back = await comeBack(browser, 'ana', `/auth/oidc/start?return=${encodeURIComponent(wish)}`);
    expect(new URL((await browser.go(atApi(back))).location ?? '').host).toBe(new URL(api.url).host);
  });
});

describe('the provider', () => {
  it('may change its keys: the new one is fetched when it is first seen', async () => {
    const before = await idToken();
    expect((await ask(before)).status).toBe(200);
    const next = await makeKey('second');
    await stopProvider(provider);
    provider = await startProvider(providerPort, redirectUri, [next]);
    // Keys are looked for again at most every ten seconds, and were just read.
    await api.restart();
    expect([(await ask(await idToken({}, next))).status, (await ask(before)).status]).toEqual([200, 401]);
    key = next;
  });

  it('may be away: its tokens are answered 503, sign-in says so, and other credentials go on working', async () => {
    await stopProvider(provider);
    await api.restart();
    const answer = await ask(await idToken());
    expect([answer.status, answer.body.reason, answer.headers.get('retry-after')]).toEqual([503, 'ServiceUnavailable', '5']);
    expect((await new Browser().go(`${api.url}/auth/oidc/start`)).location).toBe(`${api.url}/?sign-in=unavailable`);
    expect((await ask(ADMIN_TOKEN)).status).toBe(200);
    expect((await ask('nonsense-nonsense')).status).toBe(401);
    // Back again, it is asked again, without a restart.
    provider = await startProvider(providerPort, redirectUri, [key]);
    const deadline = Date.now() + 10_000;
    let status = 503;
    while (status === 503 && Date.now() < deadline) ({ status } = await ask(await idToken()));
    expect(status).toBe(200);
  });
});
