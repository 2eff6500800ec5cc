import { Global, Module } from '@nestjs/common';
import { ConsoleFiles } from './console-files.ts';

@Global()
@Module({ providers: [ConsoleFiles] })
export class HttpModule {}
