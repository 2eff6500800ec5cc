import { NestFactory } from '@nestjs/core';
import { type WorkerConfig } from './config.ts';
import { lockHome } from './home-lock.ts';
import { WorkerModule } from './worker.module.ts';

/** Runs a node agent until it is told to end: SIGTERM, SIGINT, or, when its parent asked for that, the end of stdin. */
export async function runWorker(config: WorkerConfig): Promise<void> {
  await lockHome(config.home, {
    onWait: () => process.stderr.write(`corral worker: waiting for another worker to leave ${config.home}\n`),
  });
  const application = await NestFactory.createApplicationContext(WorkerModule.register(config), {
    logger: false,
    abortOnError: false,
  });
  let ending: Promise<void> | undefined;
  const end = (): void => {
    ending ??= application.close().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`corral worker: ${(error as Error).message}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  if (config.exitOnStdinEof) process.stdin.on('end', end).on('error', end).resume();
}
