import { Module } from '@nestjs/common';
import { SnapshotScreenController } from './snapshot-screen.controller.ts';
import { StoredScreens } from './stored-screens.ts';

/** What machines showed, kept beside their snapshots. */
@Module({ controllers: [SnapshotScreenController], providers: [StoredScreens], exports: [StoredScreens] })
export class ScreensModule {}
