import { Module } from '@nestjs/common';

/** What works on its own: reconcilers and the scheduler. List feature modules here. */
@Module({ imports: [] })
export class ControllersRole {}
