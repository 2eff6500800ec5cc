import { Module } from '@nestjs/common';
import { AuditRetention } from './audit-retention.ts';
import { AuditRoutes } from './audit.routes.ts';

/** The audit log over HTTP. */
@Module({ providers: [AuditRoutes] })
export class AuditEventsModule {}

/** How long the audit log remembers. */
@Module({ providers: [AuditRetention], exports: [AuditRetention] })
export class AuditRetentionModule {}
