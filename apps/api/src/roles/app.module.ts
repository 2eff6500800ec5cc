import { Global, Module, type DynamicModule, type Type } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import { AuditModule } from '../platform/audit/audit.module.ts';
import { AuthModule } from '../platform/auth/auth.module.ts';
import { API_CONFIG, type ApiConfig, type Role } from '../platform/config/api-config.ts';
import { DatabaseModule } from '../platform/database/database.module.ts';
import { HttpModule } from '../platform/http/http.module.ts';
import { LeadershipModule } from '../platform/leadership/leadership.module.ts';
import { TelemetryModule } from '../platform/telemetry/telemetry.module.ts';
import { TrafficModule } from '../platform/traffic/traffic.module.ts';
import { ObjectStoreModule } from '../modules/artifacts/object-store.module.ts';
import { ResourcesModule } from '../modules/resources/resources.module.ts';
import { ApiRole } from './api.role.ts';
import { ControllersRole } from './controllers.role.ts';
import { SchedulerRole } from './scheduler.role.ts';

@Global()
@Module({})
class ConfigModule {
  static register(config: ApiConfig): DynamicModule {
    return { module: ConfigModule, providers: [{ provide: API_CONFIG, useValue: config }], exports: [API_CONFIG] };
  }
}

/** What every role stands on: configuration, logs, database, HTTP, authentication, and every kind as an API. */
@Module({})
export class PlatformModule {
  static register(config: ApiConfig): DynamicModule {
    return {
      module: PlatformModule,
      imports: [
        LoggerModule.forRoot({ pinoHttp: { level: config.logLevel, autoLogging: false, quietReqLogger: true, redact: ['req.headers.authorization', 'req.headers.cookie'] } }),
        ConfigModule.register(config),
        DatabaseModule,
        TelemetryModule,
        TrafficModule,
        LeadershipModule,
        AuditModule,
        AuthModule,
        HttpModule,
        ResourcesModule,
      ],
    };
  }
}

const MODULES: Readonly<Record<Role, Type>> = {
  api: ApiRole,
  controllers: ControllersRole,
  scheduler: SchedulerRole,
};

/** One process, with the roles its configuration names. */
@Module({})
export class AppModule {
  static register(config: ApiConfig): DynamicModule {
    return {
      module: AppModule,
      imports: [PlatformModule.register(config), ObjectStoreModule, ...new Set(config.roles.map((role) => MODULES[role]))],
    };
  }
}
