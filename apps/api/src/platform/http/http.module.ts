import { Global, Module } from '@nestjs/common';
import { ConsoleFiles } from './console-files.ts';
import { WebSocketRoutes } from './websocket-routes.ts';

@Global()
@Module({ providers: [WebSocketRoutes, ConsoleFiles], exports: [WebSocketRoutes] })
export class HttpModule {}
