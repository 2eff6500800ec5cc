import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi();
}, 120_000);
afterAll(() => api.stop());

it('says one version, whole and in parts', async () => {
  const { major, minor, gitVersion } = (await (await fetch(`${api.url}/version`)).json()) as Record<string, string>;
  expect(gitVersion).toMatch(new RegExp(`^v${major}\\.${minor}\\.\\d+\\+corral`));
  expect(Number(minor)).toBeGreaterThan(0);
});

it('takes an empty body for none, though the request names a type for it', async () => {
  const send = async (path: string, body?: string) => {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
    return (await fetch(`${api.url}${path}`, { method: 'POST', headers, ...(body === undefined ? {} : { body }) })).status;
  };
  for (const path of ['/auth/sign-in-links', '/auth/tickets']) expect([path, await send(path)]).toEqual([path, 201]);
  for (const body of [undefined, '{', '{"__proto__":{}}', '{}']) expect([body, await send('/auth/sessions', body)]).toEqual([body, 400]);
  expect(await send('/auth/sessions', JSON.stringify({ token: ADMIN_TOKEN }))).toBe(201);
});
