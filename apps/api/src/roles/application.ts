import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { ApiConfig } from '../platform/config/api-config.ts';
import { createHttpAdapter, prepareHttp } from '../platform/http/http-server.ts';
import { AppModule } from './app.module.ts';

/** The whole API server, ready to listen. Closing it ends every watch and socket first, the database last. */
export async function createApplication(config: ApiConfig): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.register(config), await createHttpAdapter(config), { bufferLogs: true, abortOnError: false });
  await prepareHttp(app);
  return app;
}

/** Starts it; answers where it listens. */
export async function startApplication(app: NestFastifyApplication, config: ApiConfig): Promise<string> {
  await app.listen(config.port, config.host);
  return app.getUrl();
}
