import { Module } from '@nestjs/common';
import { ArtifactFetcher } from './artifact.fetcher.ts';
import { BakeReconciler } from './bake.reconciler.ts';
import { ImageReconciler } from './image.reconciler.ts';

/** What machines start from: artifacts fetched and checked, golden snapshots baked. */
@Module({ providers: [ArtifactFetcher, ImageReconciler, BakeReconciler] })
export class ImagesModule {}
