import type { Change, RequestAttributes } from '@corral/api-machinery';
import { clusterRoleBindings, clusterRoles, qualifiedResource, type KindDefinition, type KubeObject } from '@corral/contracts';
import { until } from '@corral/testing';
import { Logger } from '@nestjs/common';
import type { ChangeFeed, Follower } from '../database/change-feed.ts';
import type { PostgresStore } from '../database/postgres-store.ts';
import { PolicyCopy } from './policy-copy.ts';

const GET_NODES: RequestAttributes = { isResource: true, verb: 'get', group: '', version: 'v1', resource: 'nodes', subresource: '', namespace: '', name: 'n' };
const metadata = (name: string) => ({ name, uid: name, resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' });
const READER: KubeObject = { apiVersion: 'x', kind: 'ClusterRole', metadata: metadata('reader'), ...{ rules: [{ verbs: ['get'], apiGroups: [''], resources: ['nodes'] }] } };
const bindingOf = (user: string): KubeObject => ({
  apiVersion: 'x', kind: 'ClusterRoleBinding', metadata: metadata(user), ...{ roleRef: { kind: 'ClusterRole', name: 'reader' }, subjects: [{ kind: 'User', name: user }] },
});
const bound = (type: Change['type'], user: string, resourceVersion: number): Change => ({
  type, resource: qualifiedResource(clusterRoleBindings), resourceVersion, object: bindingOf(user), previous: type === 'ADDED' ? undefined : bindingOf(user),
});

/** A database of roles and bindings with its feed, driven by hand: what comes when is what these tests are about. */
class World {
  users = new Set<string>();
  version = 100;
  /** Lists wait while this is pending. */
  gate: Promise<unknown> = Promise.resolve();
  isAway = false;
  #follower: Follower | undefined;
  readonly copy = new PolicyCopy(
    { list: (kind: KindDefinition) => this.#list(kind) } as unknown as PostgresStore,
    { follow: (follower: Follower) => (this.#follower = follower) } as unknown as ChangeFeed,
  );

  async #list(kind: KindDefinition): Promise<object> {
    const [users, resourceVersion] = [[...this.users], this.version];
    await this.gate;
    if (this.isAway) throw new Error('away');
    return { objects: kind === clusterRoles ? [READER] : kind === clusterRoleBindings ? users.map(bindingOf) : [], resourceVersion, remaining: 0 };
  }

  tell(...changes: Change[]): void {
    this.#follower?.changed(changes);
  }

  miss(): void {
    this.#follower?.missed();
  }

  may(user: string): boolean {
    return this.copy.policy.allows({ name: user, groups: [] }, GET_NODES).isAllowed;
  }
}

let world: World;
beforeAll(() => Logger.overrideLogger(false));
beforeEach(() => (world = new World()));
afterEach(() => world.copy.beforeApplicationShutdown());

it('lets nobody be judged before it is full, and fills when the database is back', async () => {
  world.isAway = true;
  await world.copy.onApplicationBootstrap();
  expect(() => world.copy.policy).toThrow(expect.objectContaining({ code: 'dependency.unavailable' }));
  world.users.add('ann');
  world.isAway = false;
  await until(() => Promise.resolve(isFilled()), { timeoutMs: 5_000, what: 'the copy' });
  expect(world.may('ann')).toBe(true);
});

const isFilled = (): boolean => {
  try {
    return world.copy.policy !== undefined;
  } catch {
    return false;
  }
};

it('takes in what is told while it fills, and nothing that the list is newer than', async () => {
  const gate = Promise.withResolvers<undefined>();
  world.gate = gate.promise;
  const filled = world.copy.onApplicationBootstrap();
  // The list is of version 100, in which bob was there and then gone.
  world.tell(bound('ADDED', 'bob', 99), bound('DELETED', 'bob', 100), bound('ADDED', 'ann', 101));
  gate.resolve(undefined);
  await filled;
  expect([world.may('ann'), world.may('bob')]).toEqual([true, false]);
  // A feed that lags behind the list goes on telling the past.
  world.tell(bound('ADDED', 'bob', 99));
  expect(world.may('bob')).toBe(false);
  world.tell(bound('ADDED', 'bob', 102));
  expect(world.may('bob')).toBe(true);
});

it('is filled anew when something was missed, and decides as before meanwhile', async () => {
  world.users.add('ann');
  await world.copy.onApplicationBootstrap();
  const gate = Promise.withResolvers<undefined>();
  world.gate = gate.promise;
  world.users = new Set(['eve']);
  world.version = 200;
  world.miss();
  world.tell(bound('ADDED', 'bob', 201));
  expect([world.may('ann'), world.may('eve')]).toEqual([true, false]);
  gate.resolve(undefined);
  await until(() => Promise.resolve(world.may('eve')), { timeoutMs: 5_000, what: 'the new copy' });
  expect([world.may('ann'), world.may('bob')]).toEqual([false, true]);
});

it('is never overtaken by a filling that began before something was missed', async () => {
  const gate = Promise.withResolvers<undefined>();
  world.gate = gate.promise;
  const first = world.copy.onApplicationBootstrap();
  world.gate = Promise.resolve();
  world.users = new Set(['eve']);
  world.miss();
  await until(() => Promise.resolve(isFilled()), { timeoutMs: 5_000, what: 'the second filling' });
  world.users = new Set(['ann']);
  gate.resolve(undefined);
  await first;
  expect([world.may('eve'), world.may('ann')]).toEqual([true, false]);
});
