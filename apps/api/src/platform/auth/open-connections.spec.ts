import { jest } from '@jest/globals';
import type { RequestAttributes } from '@corral/api-machinery';
import type { Credential } from './credential.ts';
import type { Credentials } from './credentials.ts';
import type { LiveObjects } from './live-objects.ts';
import { DEFAULT_TRAFFIC } from '../traffic/traffic-config.ts';
import { OpenConnections } from './open-connections.ts';
import type { User } from './user.ts';

const WATCH: RequestAttributes = { isResource: true, verb: 'watch', group: '', version: 'v1', resource: 'secrets', subresource: '', namespace: 'default', name: '' };
const credentialOf = (id: string): Credential => ({ ref: { type: 'Session', id } });
const userOf = (id: string): User => ({ name: id, groups: [], via: 'Session', credential: credentialOf(id) });

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/** Connections whose credentials hold or not as `isValid` says; `check` lets the time of one check go by. */
function start(isValid: (id: string) => Promise<boolean>, openConnections = 1_000) {
  const asked: string[] = [];
  const credentials = {
    isValid: ({ ref }: Credential) => {
      const id = 'id' in ref ? ref.id : '';
      asked.push(id);
      return isValid(id);
    },
  };
  const connections = new OpenConnections(credentials as unknown as Credentials, { onChange: () => undefined } as unknown as LiveObjects, { traffic: { ...DEFAULT_TRAFFIC, openConnections } });
  connections.onModuleInit();
  const ended: string[] = [];
  const open = (...ids: string[]) => ids.forEach((id) => connections.add(userOf(id), WATCH, () => ended.push(id)));
  return { asked, connections, ended, open, check: () => jest.advanceTimersByTimeAsync(1_000), stop: () => connections.beforeApplicationShutdown() };
}

it('what was opened with a credential that holds no more is ended, though another cannot be checked', async () => {
  const { open, check, ended, stop } = start((id) => (id === 'unknown' ? Promise.reject(new Error('the database is away')) : Promise.resolve(id === 'good')));
  open('unknown', 'good', 'revoked');
  await check();
  expect(ended).toEqual(['revoked']);
  stop();
});

it('all credentials are asked about at once: a thousand of them are one question', async () => {
  const answer = Promise.withResolvers<boolean>();
  const { open, check, asked, stop } = start(() => answer.promise);
  open('one', 'two', 'three');
  await check();
  expect(asked).toEqual(['one', 'two', 'three']);
  answer.resolve(true);
  stop();
});

it('rights are looked at again when they changed, and not every second', async () => {
  const { connections, open, check, ended, stop } = start(() => Promise.resolve(true));
  const looks: string[] = [];
  const rights = { version: 1, allowed: ['one', 'two'] };
  connections.recheckWith({
    version: () => rights.version,
    isAllowed: ({ name }) => {
      looks.push(name);
      return rights.allowed.includes(name);
    },
  });
  open('one', 'two');
  for (let second = 0; second < 5; second += 1) await check();
  expect([looks, ended]).toEqual([['one', 'two'], []]);
  Object.assign(rights, { version: 2, allowed: ['two'] });
  await check();
  expect(ended).toEqual(['one']);
  stop();
});

describe('how many one may have open', () => {
  const named = (name: string, ...groups: string[]): User => ({ name, groups, via: 'Token', credential: credentialOf(name) });

  it('is bounded for each user, and for the service accounts of a namespace together; what ends makes room once', () => {
    const { connections, stop } = start(() => Promise.resolve(true), 2);
    const add = (user: User) => connections.add(user, WATCH, () => undefined);
    const leave = add(named('ann'));
    add(named('ann'));
    expect(() => add(named('ann'))).toThrow(expect.objectContaining({ code: 'request.too-many', details: { retryAfterSeconds: 5 } }));
    add(named('bob'));
    leave();
    leave();
    add(named('ann'));
    expect(() => add(named('ann'))).toThrow();
    for (const robot of ['one', 'two']) add(named(`system:serviceaccount:crowd:${robot}`));
    expect(() => add(named('system:serviceaccount:crowd:three'))).toThrow();
    add(named('system:serviceaccount:quiet:three'));
    stop();
  });

  it('is bounded for nobody in particular too, but not for administrators and nodes', () => {
    const { connections, stop } = start(() => Promise.resolve(true), 1);
    const nobody: User = { name: 'system:anonymous', groups: ['system:unauthenticated'], via: 'Nothing' };
    connections.add(nobody, WATCH, () => undefined);
    expect(() => connections.add(nobody, WATCH, () => undefined)).toThrow();
    for (const user of [named('root', 'system:masters'), named('system:node:n', 'system:nodes')]) for (let time = 0; time < 5; time += 1) connections.add(user, WATCH, () => undefined);
    stop();
  });
});
