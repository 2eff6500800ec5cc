import { Module } from '@nestjs/common';
import { DataPlaneClient } from './data-plane.client.ts';
import { ExecGateway } from './exec.gateway.ts';
import { MachineController } from './machine.controller.ts';
import { SerialGateway } from './serial.gateway.ts';

/** Guest data in and out: exec, serial, files, screen, input. */
@Module({ controllers: [MachineController], providers: [DataPlaneClient, ExecGateway, SerialGateway] })
export class GatewaysModule {}
