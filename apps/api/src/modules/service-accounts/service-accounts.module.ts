import { Module } from '@nestjs/common';
import { IssuerRoutes } from './issuer.routes.ts';
import { ServiceAccountReconciler } from './service-account.reconciler.ts';
import { TokenRoutes } from './token.routes.ts';

/** Tokens of service accounts, and where others find the keys to verify them. */
@Module({ providers: [TokenRoutes, IssuerRoutes] })
export class ServiceAccountTokensModule {}

/** The service account every namespace has. */
@Module({ providers: [ServiceAccountReconciler] })
export class ServiceAccountsModule {}
