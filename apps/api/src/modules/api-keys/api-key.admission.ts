import { isDeepStrictEqual } from 'node:util';
import { Inject, Injectable } from '@nestjs/common';
import { requestAttributes } from '@corral/api-machinery';
import { apiKeys, apiPath, serviceAccountOf, serviceAccounts, toKubeTime, type ApiKey, type ApiKeySpec, type FieldProblem, type KindDefinition } from '@corral/contracts';
import { Authorizer } from '../../platform/auth/authorization.ts';
import { digestOfKey } from '../../platform/auth/api-keys.ts';
import { makeApiKeySecret } from '../../platform/auth/api-key-secret.ts';
import { accountIdentity } from '../../platform/auth/service-account-tokens.ts';
import { AUTHENTICATED_GROUP, type Identity } from '../../platform/auth/user.ts';
import { Admission, type AdmissionRequest } from '../../platform/objects/admission.ts';

const ACCOUNTS = serviceAccounts as KindDefinition;

/** Makes a key's secret, shows it once, and sees to it that a key stands for nobody but who may create it. */
@Injectable()
export class ApiKeyAdmission {
  constructor(@Inject(Admission) admission: Admission, @Inject(Authorizer) authorizer: Authorizer) {
    admission.default(apiKeys, (key, previous, request) => (previous ? Promise.resolve(kept(key, previous)) : born(key, request)));
    admission.check(apiKeys, (key, previous, request) => (previous ? Promise.resolve(changeProblems(key, previous)) : ownerProblems(key, request, authorizer)));
  }
}

/** What the server wrote stays when a caller leaves it out. */
function kept(key: ApiKey, previous: ApiKey): ApiKey {
  const { expiresAt, owner, digest, scope } = previous.spec ?? {};
  return { ...key, spec: { ...(key.spec as ApiKeySpec), ...defined({ expiresAt: key.spec?.expiresAt ?? expiresAt, owner: key.spec?.owner ?? owner, digest: key.spec?.digest ?? digest }), scope: { ...(key.spec as ApiKeySpec).scope, ...defined({ namespaces: key.spec?.scope.namespaces ?? scope?.namespaces }) } } };
}

async function born(key: ApiKey, request: AdmissionRequest): Promise<ApiKey> {
  // Never the caller's, also where there is no owner to put in its place: the account may be made before the checks run.
  const { owner: _owner, digest: _digest, expiresAt: _expiresAt, ...spec } = key.spec as ApiKeySpec;
  const namespace = key.metadata.namespace ?? '';
  const secret = makeApiKeySecret();
  const owner = spec.serviceAccountName === undefined ? await callerAsOwner(request) : await accountOwner(namespace, spec.serviceAccountName, request);
  // A dry run makes no key, so it shows none.
  if (!request.isDryRun) request.reveal({ token: secret });
  return {
    ...key,
    spec: {
      ...spec,
      scope: { ...spec.scope, namespaces: spec.scope.namespaces ?? [namespace] },
      expiresAt: toKubeTime(new Date(Date.now() + spec.expirationSeconds * 1000)),
      ...defined({ owner }),
      digest: digestOfKey(secret),
    },
  };
}

const ownerOf = ({ name, groups, uid }: Identity): NonNullable<ApiKeySpec['owner']> => ({
  username: name,
  // Granted anew at every request.
  groups: groups.filter((group) => group !== AUTHENTICATED_GROUP),
  ...(uid === undefined ? {} : { uid }),
});

/** An account is known by its uid, whatever it was recognized by: a key it makes ends with it, as those made for it do. */
async function callerAsOwner({ user, objects }: AdmissionRequest): Promise<ApiKeySpec['owner']> {
  const account = serviceAccountOf(user.name);
  const found = account && (await objects.get(ACCOUNTS, account.namespace, account.name));
  return ownerOf(found ? { ...user, uid: found.metadata.uid } : user);
}

async function accountOwner(namespace: string, name: string, { objects }: AdmissionRequest): Promise<ApiKeySpec['owner']> {
  const account = await objects.get(ACCOUNTS, namespace, name);
  return account && ownerOf(accountIdentity(namespace, account.metadata));
}

/** A key of an account is a token of it: only who may make the one may make the other. */
async function ownerProblems(key: ApiKey, request: AdmissionRequest, authorizer: Authorizer): Promise<readonly FieldProblem[]> {
  // It would outlive the right to act for them.
  if ('impersonatedBy' in request.user) return [{ field: 'spec.owner', reason: 'FieldValueForbidden', message: 'a key cannot be made while acting for somebody else' }];
  const name = key.spec?.serviceAccountName;
  if (name === undefined) return [];
  const field = 'spec.serviceAccountName';
  const { namespace = '' } = key.metadata;
  if (!(await request.objects.get(ACCOUNTS, namespace, name))) return [{ field, reason: 'FieldValueNotFound', message: `there is no service account "${name}" in this namespace` }];
  const path = apiPath(ACCOUNTS, namespace, name, 'token');
  if (authorizer.decide(request.user, requestAttributes('POST', path, () => undefined)).isAllowed) return [];
  return [{ field, reason: 'FieldValueForbidden', message: `you may not make tokens of the service account "${name}"` }];
}

/** A key that could be widened afterwards would be worth what its owner is worth, not what it was made for. */
function changeProblems(key: ApiKey, previous: ApiKey): readonly FieldProblem[] {
  const { description: _description, ...next } = key.spec ?? {};
  const { description: _before, ...last } = previous.spec ?? {};
  const fields = new Set([...Object.keys(next), ...Object.keys(last)]) as Set<keyof typeof next>;
  return [...fields]
    .filter((field) => !isDeepStrictEqual(next[field], last[field]))
    .map((field) => ({ field: `spec.${field}`, reason: 'FieldValueForbidden', message: 'cannot be changed: create another key and delete this one' }));
}

function defined<T extends object>(fields: T): { [Field in keyof T]: Exclude<T[Field], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [Field in keyof T]: Exclude<T[Field], undefined> };
}
