import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { serviceAccountGroups, serviceAccountUserName, type KubeObject } from '@corral/contracts';
import { errors, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { digestOf } from './digest.ts';
import { credentialId, type Credential, type CredentialRef } from './credential.ts';
import { LiveObjects } from './live-objects.ts';
import { SIGNING_ALGORITHM, SigningKeys } from './signing-keys.ts';
import { type Authenticated, type Identity } from './user.ts';

const MAX_CACHED = 10_000;
const CLOCK_SKEW_SECONDS = 5;

const Reference = z.object({ name: z.string(), uid: z.string() });
/** Source: k8s.io/kubernetes/pkg/serviceaccount, privateClaims. */
const Claims = z.object({
  sub: z.string(),
  exp: z.number(),
  jti: z.string(),
  'kubernetes.io': z.object({ namespace: z.string(), serviceaccount: Reference, secret: Reference.optional(), node: Reference.optional() }),
});
type Claims = z.output<typeof Claims>;

export interface TokenWish {
  readonly audiences: readonly string[];
  readonly expiresAt: Date;
  readonly boundTo?: { readonly kind: 'Secret' | 'Node'; readonly name: string; readonly uid: string };
}

type AccountRef = CredentialRef & { readonly type: 'ServiceAccountToken' };

/** Tokens that service accounts show: signed, and good for as long as the account they were issued to is there. */
@Injectable()
export class ServiceAccountTokens {
  readonly issuer: string;
  /** Tokens whose signature was checked, by digest. */
  readonly #verified = new Map<string, Claims>();

  constructor(
    @Inject(SigningKeys) private readonly keys: SigningKeys,
    @Inject(LiveObjects) private readonly objects: LiveObjects,
    @Inject(API_CONFIG) config: ApiConfig,
  ) {
    this.issuer = config.serviceAccountIssuer;
  }

  async issue(account: KubeObject, { audiences, expiresAt, boundTo }: TokenWish): Promise<{ readonly token: string; readonly id: string }> {
    const { namespace = '', name, uid } = account.metadata;
    const { id: kid, privateKey } = await this.keys.current();
    const id = randomUUID();
    const bound = boundTo === undefined ? {} : { [boundTo.kind === 'Secret' ? 'secret' : 'node']: { name: boundTo.name, uid: boundTo.uid } };
    const token = await new SignJWT({ 'kubernetes.io': { namespace, serviceaccount: { name, uid }, ...bound } })
      .setProtectedHeader({ alg: SIGNING_ALGORITHM, kid })
      .setIssuer(this.issuer)
      .setSubject(serviceAccountUserName(namespace, name))
      .setAudience([...audiences])
      .setJti(id)
      .setIssuedAt()
      .setNotBefore('0s')
      .setExpirationTime(expiresAt)
      .sign(privateKey);
    return { token, id };
  }

  /** Who shows this token; undefined when it is not ours, has expired, is meant for others, or its account is gone. */
  async find(token: string, audiences: readonly string[] = [this.issuer]): Promise<Authenticated | undefined> {
    const claims = await this.#verify(token, audiences);
    if (!claims || claims.exp * 1000 <= Date.now()) return undefined;
    const { namespace, serviceaccount, secret, node } = claims['kubernetes.io'];
    const boundTo = secret ? ({ kind: 'Secret', ...secret } as const) : node ? ({ kind: 'Node', ...node } as const) : undefined;
    const ref: AccountRef = { type: 'ServiceAccountToken', id: claims.jti, namespace, name: serviceaccount.name, uid: serviceaccount.uid, ...(boundTo ? { boundTo } : {}) };
    if (!(await this.isLive(ref))) return undefined;
    const credential: Credential = { ref, expiresAt: new Date(claims.exp * 1000).toISOString() };
    return { identity: { ...accountIdentity(namespace, serviceaccount), extra: { 'authentication.kubernetes.io/credential-id': [credentialId(credential)] } }, credential };
  }

  /** Whether what the token hangs on is still there: the same account, not another of its name. */
  async isLive({ namespace, name, uid, boundTo }: AccountRef): Promise<boolean> {
    if (!isThere(await this.objects.account(namespace, name), uid)) return false;
    if (boundTo === undefined) return true;
    return isThere(boundTo.kind === 'Secret' ? await this.objects.secret(namespace, boundTo.name) : await this.objects.node(boundTo.name), boundTo.uid);
  }

  async #verify(token: string, audiences: readonly string[]): Promise<Claims | undefined> {
    const key = `${Buffer.from(digestOf(token)).toString('base64')} ${audiences.join(' ')}`;
    const known = this.#verified.get(key);
    if (known) return known;
    try {
      const { payload } = await jwtVerify(token, async ({ kid }) => (await this.keys.find(kid ?? ''))?.publicKey ?? Promise.reject(new errors.JWKSNoMatchingKey()), {
        issuer: this.issuer,
        audience: [...audiences],
        algorithms: [SIGNING_ALGORITHM],
        clockTolerance: CLOCK_SKEW_SECONDS,
      });
      const claims = Claims.safeParse(payload).data;
      if (!claims) return undefined;
      if (this.#verified.size >= MAX_CACHED) this.#verified.clear();
      this.#verified.set(key, claims);
      return claims;
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }
}

/** What a finalizer holds back is gone already: whoever has the token could put one on. */
const isThere = (object: KubeObject | undefined, uid: string): boolean => object !== undefined && object.metadata.uid === uid && object.metadata.deletionTimestamp === undefined;

export const accountIdentity = (namespace: string, { name, uid }: { readonly name: string; readonly uid: string }): Identity => ({
  name: serviceAccountUserName(namespace, name),
  uid,
  groups: serviceAccountGroups(namespace),
});
