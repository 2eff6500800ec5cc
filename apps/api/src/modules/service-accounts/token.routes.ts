import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { malformed, objectNotFound } from '@corral/api-machinery';
import { apiPath, nodes, Problem, secrets, serviceAccounts, toKubeTime, type KindDefinition, type KubeObject } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { PostgresStore } from '../../platform/database/postgres-store.ts';
import { readObjectBody } from '../../platform/http/object-body.ts';
import { parseBody } from '../../platform/http/parsed-body.ts';
import { registerObjectRoutes } from '../../platform/http/object-routes.ts';
import { Credentials } from '../../platform/auth/credentials.ts';
import { AUTHENTICATED_GROUP } from '../../platform/auth/user.ts';
import { ServiceAccountTokens, type TokenWish } from '../../platform/auth/service-account-tokens.ts';
import { MAX_TOKEN_SECONDS } from '../../platform/auth/signing-keys.ts';

const ACCOUNTS = serviceAccounts as KindDefinition;
/** Source: k8s.io/kubernetes/pkg/apis/authentication/validation: ten minutes. */
const MIN_TOKEN_SECONDS = 600;
const DEFAULT_TOKEN_SECONDS = 3600;

/** Source: k8s.io/api authentication/v1, TokenRequest. */
const TokenRequest = z.object({
  apiVersion: z.literal('authentication.k8s.io/v1').optional(),
  kind: z.literal('TokenRequest').optional(),
  metadata: z.looseObject({ name: z.string().optional(), namespace: z.string().optional() }).optional(),
  spec: z
    .strictObject({
      audiences: z.array(z.string().min(1).max(1024)).max(32).default([]),
      expirationSeconds: z.number().int().min(MIN_TOKEN_SECONDS, 'may not specify a duration less than 10 minutes').max(2 ** 32, 'may not specify a duration larger than 2^32 seconds').default(DEFAULT_TOKEN_SECONDS),
      boundObjectRef: z
        .strictObject({ kind: z.enum(['Secret', 'Node']), apiVersion: z.literal('v1').default('v1'), name: z.string().min(1), uid: z.string().optional() })
        .nullish(),
    })
    .prefault({}),
  status: z.unknown().optional(),
});
type TokenRequest = z.output<typeof TokenRequest>;

const SCOPED = 'the token is an API key, which is good for less than its holder may: only this API knows for what. Show a token of a service account instead';

const TokenReview = z.object({ spec: z.object({ token: z.string().min(1), audiences: z.array(z.string()).optional() }) });

type Request = FastifyRequest<{ Params: { namespace: string; name: string }; Body: Buffer | undefined }>;

/** `POST …/serviceaccounts/NAME/token`, which `kubectl create token` asks for, and TokenReview, which asks whose a token is. */
@Injectable()
export class TokenRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(PostgresStore) private readonly store: PostgresStore,
    @Inject(ServiceAccountTokens) private readonly tokens: ServiceAccountTokens,
    @Inject(Credentials) private readonly credentials: Credentials,
  ) {}

  onModuleInit(): void {
    registerObjectRoutes(this.host, (scope) => {
      scope.post(`${apiPath(ACCOUNTS).replace(ACCOUNTS.plural, `namespaces/:namespace/${ACCOUNTS.plural}`)}/:name/token`, { config: { description: { summary: 'A token of the service account, bound to an audience and a time.', body: TokenRequest, code: 201 } } }, (request: Request, reply) => this.#issue(request, reply));
      scope.post('/apis/authentication.k8s.io/v1/tokenreviews', { config: { description: { summary: 'Whose token this is.', body: TokenReview, code: 201 } } }, (request: Request, reply) => this.#review(request, reply));
    });
  }

  async #issue(request: Request, reply: FastifyReply): Promise<unknown> {
    const { namespace, name } = request.params;
    const { spec, metadata } = readTokenRequest(request);
    if (metadata?.name && metadata.name !== name) throw malformed(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
    if (metadata?.namespace && metadata.namespace !== namespace) throw malformed('the namespace of the provided object does not match the namespace sent on the request');
    const account = await this.store.get(ACCOUNTS, namespace, name);
    if (!account || account.metadata.deletionTimestamp !== undefined) throw objectNotFound(ACCOUNTS, name);
    const audiences = spec.audiences.length === 0 ? [this.tokens.issuer] : spec.audiences;
    const expiresAt = new Date(Math.floor(Date.now() / 1000 + Math.min(spec.expirationSeconds, MAX_TOKEN_SECONDS)) * 1000);
    const boundTo = spec.boundObjectRef ? await this.#bound(namespace, spec.boundObjectRef) : undefined;
    const { token } = await this.tokens.issue(account, { audiences, expiresAt, ...(boundTo ? { boundTo } : {}) });
    const answer = {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name, namespace, creationTimestamp: toKubeTime(new Date()) },
      spec: { audiences, expirationSeconds: Math.min(spec.expirationSeconds, MAX_TOKEN_SECONDS), boundObjectRef: spec.boundObjectRef ?? null },
      status: { token, expirationTimestamp: toKubeTime(expiresAt) },
    };
    return reply.code(201).type('application/json').header('cache-control', 'no-store').send(JSON.stringify(answer));
  }

  /** Whose token this is, for services that are shown one. Source: k8s.io/api authentication/v1, TokenReview. */
  async #review(request: Request, reply: FastifyReply): Promise<unknown> {
    const parsed = TokenReview.safeParse(readBody(request));
    if (!parsed.success) throw malformed('the body is no TokenReview: spec.token must be a text');
    const { token, audiences = [] } = parsed.data.spec;
    // For audiences of their own, only tokens of service accounts are made.
    const found = audiences.length === 0 || audiences.includes(this.tokens.issuer) ? await this.credentials.authenticate(token) : await this.tokens.find(token, audiences);
    // Whoever asks would decide by the holder's name and groups, and give an API key all that its holder may.
    const status = found?.credential.scope
      ? { authenticated: false, error: SCOPED }
      : found
      ? { authenticated: true, user: { username: found.identity.name, uid: found.identity.uid, groups: [...found.identity.groups, AUTHENTICATED_GROUP], extra: found.identity.extra }, ...(audiences.length > 0 ? { audiences } : {}) }
      : { authenticated: false };
    // What was asked about is a secret, so it is not repeated.
    const answer = { kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', metadata: {}, spec: { audiences }, status };
    return reply.code(201).type('application/json').header('cache-control', 'no-store').send(JSON.stringify(answer));
  }

  /** The object the token lives no longer than, as it is now. */
  async #bound(namespace: string, { kind, name, uid }: NonNullable<TokenRequest['spec']['boundObjectRef']>): Promise<TokenWish['boundTo']> {
    const found: KubeObject | undefined = kind === 'Secret' ? await this.store.get(secrets, namespace, name) : await this.store.get(nodes, undefined, name);
    if (!found) throw objectNotFound(kind === 'Secret' ? secrets : nodes, name);
    if (uid !== undefined && uid !== '' && uid !== found.metadata.uid) {
      throw new Problem('object.conflict', `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`);
    }
    return { kind, name, uid: found.metadata.uid };
  }
}

const readBody = ({ body, headers }: Request): unknown => readObjectBody(body === undefined || body.length === 0 ? Buffer.from('{}') : body, headers['content-type']).value;

const readTokenRequest = (request: Request): TokenRequest => parseBody(TokenRequest, { group: 'authentication.k8s.io', kind: 'TokenRequest' }, readBody(request));
