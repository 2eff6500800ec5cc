import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Logger } from 'nestjs-pino';
import type { ApiConfig } from '../platform/config/api-config.ts';
import { UPGRADE_GATE, type UpgradeGate } from '../platform/auth/upgrade-gate.ts';
import { createHttpAdapter, prepareHttp } from '../platform/http/http-server.ts';
import { RouteCatalogue } from '../platform/http/route-catalogue.ts';
import { PathWebSocketAdapter } from '../platform/http/path-websocket.adapter.ts';
import { AppModule } from './app.module.ts';

/** The API server, ready to listen. Closing it ends every watch and socket first, the database last. */
export async function createApplication(config: ApiConfig, root: DynamicModule = AppModule.register(config)): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(root, await createHttpAdapter(config), { bufferLogs: true, abortOnError: false });
  app.useLogger(app.get(Logger));
  app.useWebSocketAdapter(new PathWebSocketAdapter(app, app.get<UpgradeGate>(UPGRADE_GATE), app.get(RouteCatalogue)));
  await prepareHttp(app);
  return app;
}

/** Starts it; answers where it listens. */
export async function startApplication(app: NestFastifyApplication, config: ApiConfig): Promise<string> {
  await app.listen(config.port, config.host);
  return app.getUrl();
}
