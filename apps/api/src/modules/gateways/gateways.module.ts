import { Module } from '@nestjs/common';
import { ControllersModule } from '../controllers/controllers.module.ts';
import { HibernationModule } from '../hibernation/hibernation.module.ts';
import { ScreensModule } from '../screens/screens.module.ts';
import { DataPlaneClient } from './data-plane.client.ts';
import { ExecGateway } from './exec.gateway.ts';
import { MachineController } from './machine.controller.ts';
import { OpenTargets } from './open-targets.ts';
import { SerialGateway } from './serial.gateway.ts';

/** Guest data in and out: exec, serial, files, screen, input. */
@Module({ imports: [ControllersModule, HibernationModule, ScreensModule], controllers: [MachineController], providers: [DataPlaneClient, OpenTargets, ExecGateway, SerialGateway] })
export class GatewaysModule {}
