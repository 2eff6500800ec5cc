import 'reflect-metadata';
import { configProblem, WorkerConfig } from './config.ts';
import { runWorker } from './worker.ts';

const config = WorkerConfig.safeParse(process.env);
try {
  if (!config.success) throw new Error(configProblem(config.error));
  await runWorker(config.data);
} catch (error) {
  process.stderr.write(`corral worker: ${(error as Error).message}\n`);
  process.exit(1);
}
