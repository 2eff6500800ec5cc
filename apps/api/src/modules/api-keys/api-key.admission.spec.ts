import { ApiKeySpec, apiKeys, serviceAccounts, type ApiKey, type KindDefinition, type ObjectClient } from '@corral/contracts';
import type { Authorizer } from '../../platform/auth/authorization.ts';
import { CONTROLLER } from '../../platform/auth/user.ts';
import { Admission, type AdmissionRequest } from '../../platform/objects/admission.ts';
import { ApiKeyAdmission } from './api-key.admission.ts';

const KEYS: KindDefinition = apiKeys;
const sent: ApiKey = {
  apiVersion: 'corral.dev/v1',
  kind: 'APIKey',
  metadata: { namespace: 'default', name: 'key', uid: 'u', resourceVersion: '', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: {
    ...ApiKeySpec.parse({ serviceAccountName: 'robot', scope: { namespaces: ['*'] } }),
    owner: { username: 'system:admin', groups: ['system:masters'] },
    digest: 'a'.repeat(64),
    expiresAt: '2999-01-01T00:00:00Z',
  },
};

it('a key sent with an owner has none of it, though its service account appears between the defaults and the checks', async () => {
  const admission = new Admission();
  new ApiKeyAdmission(admission, { decide: () => ({ isAllowed: true, reason: '' }) } as unknown as Authorizer);
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: 'default', name: 'robot', uid: 'robot-uid' } };
  let isThere = false;
  const objects = { get: (kind: unknown) => Promise.resolve(kind === serviceAccounts && isThere ? account : undefined) } as unknown as ObjectClient;
  const request: AdmissionRequest = { operation: 'Create', user: CONTROLLER, isDryRun: false, objects, reveal: () => undefined };

  let key: ApiKey = sent;
  for (const fill of admission.defaultersOf(KEYS)) key = (await fill(key, undefined, request)) as ApiKey;
  isThere = true;
  for (const check of admission.checksOf(KEYS)) expect(await check(key, undefined, request)).toEqual([]);

  expect(key.spec?.owner).toBeUndefined();
  expect(key.spec?.digest).not.toBe(sent.spec?.digest);
  expect(key.spec?.expiresAt).not.toBe(sent.spec?.expiresAt);
});
