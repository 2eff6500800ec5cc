import { Module } from '@nestjs/common';
import { DataPlaneClient } from './data-plane.client.ts';
import { MachineController } from './machine.controller.ts';
import { SocketGateway } from './socket.gateway.ts';

/** Guest data in and out: exec, serial, files, screen, input. */
@Module({ controllers: [MachineController], providers: [DataPlaneClient, SocketGateway] })
export class GatewaysModule {}
