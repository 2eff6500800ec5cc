import { Module } from '@nestjs/common';
import { ResourceRoutesModule } from '../modules/resources/resources.module.ts';

/** What answers requests: the generic API, and the modules that carry guest data. List gateways and controllers here. */
@Module({ imports: [ResourceRoutesModule] })
export class ApiRole {}
