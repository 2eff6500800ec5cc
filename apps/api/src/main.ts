import 'reflect-metadata';
import { Logger } from 'nestjs-pino';
import { z } from 'zod';
import { ApiConfig } from './platform/config/api-config.ts';
import { findDatabaseFault } from './platform/database/database-check.ts';
import { createApplication, startApplication } from './roles/application.ts';

/** What the operator has to see, in one line. */
function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function readConfig(): ApiConfig {
  const parsed = ApiConfig.safeParse(process.env);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const name = String(issue?.path[0] ?? 'environment');
  return fail(`${name}: ${process.env[name] === undefined ? 'is not set' : (issue?.message ?? 'is not valid')}`);
}

const config = readConfig();
const fault = await findDatabaseFault(config.databaseUrl);
if (fault !== undefined) fail(fault);
const app = await createApplication(config).catch((error: unknown) => fail(`The API could not be set up: ${describe(error)}`));
const url = await startApplication(app, config).catch((error: unknown) => fail(`The API could not start: ${describe(error)}`));
app.get(Logger).log(`The API listens on ${url}`);

let stopping: Promise<void> | undefined;
function stop(): void {
  stopping ??= app
    .close()
    .then(() => process.exit(0))
    .catch((error: unknown) => fail(`The API did not stop cleanly: ${describe(error)}`));
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
if (config.exitOnStdinEof) process.stdin.resume().once('end', stop).once('error', stop);

function describe(error: unknown): string {
  if (error instanceof z.ZodError) return z.prettifyError(error);
  if (error instanceof AggregateError) return error.errors.map(describe).join('; ');
  return error instanceof Error ? error.message : String(error);
}
