import { Global, Module } from '@nestjs/common';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { AuditLog } from './audit-log.ts';
import { ClientAddresses } from './client-address.ts';

/** Who did what, from where. */
@Global()
@Module({
  providers: [AuditLog, { provide: ClientAddresses, useFactory: ({ trustedProxies }: ApiConfig) => new ClientAddresses(trustedProxies), inject: [API_CONFIG] }],
  exports: [AuditLog, ClientAddresses],
})
export class AuditModule {}
