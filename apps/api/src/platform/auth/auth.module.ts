import { Global, Module } from '@nestjs/common';
import { AccessTokens } from './access-tokens.ts';
import { RequestGate } from './request-gate.ts';
import { SessionSockets } from './session-sockets.ts';
import { SessionsController } from './sessions.controller.ts';
import { Tickets } from './tickets.ts';
import { UPGRADE_GATE } from './upgrade-gate.ts';

@Global()
@Module({
  controllers: [SessionsController],
  providers: [AccessTokens, Tickets, SessionSockets, RequestGate, { provide: UPGRADE_GATE, useExisting: RequestGate }],
  exports: [AccessTokens, Tickets, RequestGate, UPGRADE_GATE],
})
export class AuthModule {}
