import { Global, Module } from '@nestjs/common';
import { ConsoleFiles } from './console-files.ts';
import { RouteCatalogue } from './route-catalogue.ts';

@Global()
@Module({ providers: [ConsoleFiles, RouteCatalogue], exports: [RouteCatalogue] })
export class HttpModule {}
