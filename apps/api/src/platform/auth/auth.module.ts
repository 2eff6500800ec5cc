import { Global, Module } from '@nestjs/common';
import { AccessTokens } from './access-tokens.ts';
import { ApiKeys } from './api-keys.ts';
import { Authorizer } from './authorization.ts';
import { Credentials } from './credentials.ts';
import { DataPlaneTokens } from './data-plane-tokens.ts';
import { LiveObjects } from './live-objects.ts';
import { NodeCredentialsController } from './node-credentials.controller.ts';
import { OpenConnections } from './open-connections.ts';
import { OpenIdController } from './open-id.controller.ts';
import { OpenIdProvider } from './open-id-provider.ts';
import { OpenIdTokens } from './open-id-tokens.ts';
import { PolicyCopy } from './policy-copy.ts';
import { RequestGate } from './request-gate.ts';
import { ServiceAccountTokens } from './service-account-tokens.ts';
import { SessionCookies } from './session-cookies.ts';
import { SessionsController } from './sessions.controller.ts';
import { SigningKeys } from './signing-keys.ts';
import { StrangerLookups } from './stranger-lookups.ts';
import { Tickets } from './tickets.ts';
import { UPGRADE_GATE } from './upgrade-gate.ts';

@Global()
@Module({
  controllers: [SessionsController, NodeCredentialsController, OpenIdController],
  providers: [
    LiveObjects, StrangerLookups, AccessTokens, ApiKeys, SigningKeys, DataPlaneTokens, ServiceAccountTokens, OpenIdProvider, OpenIdTokens, Credentials,
    PolicyCopy, Authorizer, Tickets, SessionCookies, OpenConnections, RequestGate, { provide: UPGRADE_GATE, useExisting: RequestGate },
  ],
  exports: [PolicyCopy, Authorizer, Credentials, ServiceAccountTokens, SigningKeys, DataPlaneTokens, Tickets, OpenConnections, RequestGate, UPGRADE_GATE],
})
export class AuthModule {}
