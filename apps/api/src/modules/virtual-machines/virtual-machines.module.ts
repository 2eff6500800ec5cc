import { Module } from '@nestjs/common';
import { BindingRoutes } from './binding.routes.ts';

/** What may be asked of a machine beside what every object answers. */
@Module({ providers: [BindingRoutes] })
export class VirtualMachinesModule {}
