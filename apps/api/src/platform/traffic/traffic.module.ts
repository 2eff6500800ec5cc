import { Global, Module } from '@nestjs/common';
import { Traffic } from './traffic.ts';

@Global()
@Module({ providers: [Traffic], exports: [Traffic] })
export class TrafficModule {}
