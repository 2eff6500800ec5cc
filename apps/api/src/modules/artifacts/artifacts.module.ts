import { Module } from '@nestjs/common';
import { ArtifactsController } from './artifacts.controller.ts';

/** Takes uploads. */
@Module({ controllers: [ArtifactsController] })
export class ArtifactsModule {}
