import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { SIGNING_KEYS_PATH } from '@corral/contracts';
import type { FastifyInstance } from 'fastify';
import { SIGNING_ALGORITHM, SigningKeys } from '../../platform/auth/signing-keys.ts';
import { ServiceAccountTokens } from '../../platform/auth/service-account-tokens.ts';
import { sendStatus } from '../../platform/http/status-reply.ts';

/**
 * For whoever is shown a service account's token elsewhere: the issuer's discovery document and public keys, at the paths
 * kube-apiserver has them.
 */
@Injectable()
export class IssuerRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(SigningKeys) private readonly keys: SigningKeys,
    @Inject(ServiceAccountTokens) private readonly tokens: ServiceAccountTokens,
  ) {}

  onModuleInit(): void {
    const fastify = this.host.httpAdapter.getInstance<FastifyInstance>();
    const { issuer } = this.tokens;
    void fastify.register((scope, _options, done) => {
      scope.setErrorHandler(sendStatus);
      scope.get('/.well-known/openid-configuration', { config: { description: { summary: 'Who issues the tokens of service accounts, for whoever verifies them.' } } }, () => ({
        issuer,
        jwks_uri: `${issuer.replace(/\/$/, '')}${SIGNING_KEYS_PATH}`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: [SIGNING_ALGORITHM],
      }));
      scope.get(SIGNING_KEYS_PATH, { config: { description: { summary: 'The public keys of tokens of service accounts and of the data plane.' } } }, async (_request, reply) => reply.type('application/jwk-set+json').send(JSON.stringify({ keys: await this.keys.publicKeys() })));
      done();
    });
  }
}
