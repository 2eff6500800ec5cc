import { resolve } from 'node:path';
import { z } from 'zod';
import { LaunchFailure } from './launch-failure.ts';

/** An empty variable is one that is not set, as in `DATABASE_URL= npm start`. */
const unset = (value: unknown): unknown => (value === '' ? undefined : value);
const optional = <T extends z.ZodType>(schema: T) => z.preprocess(unset, schema.optional());
const HOST = /./;
const PORT = 'must be a port number, from 1 to 65535';

const Environment = z.object({
  CORRAL_HOME: z.preprocess(unset, z.string().default('.corral')),
  CORRAL_HOST: z.preprocess(unset, z.string().default('127.0.0.1')),
  CORRAL_PORT: z.preprocess(
    unset,
    z
      .string()
      .regex(/^\d{1,5}$/, PORT)
      .default('8086')
      .transform(Number)
      .refine((port) => port >= 1 && port <= 65_535, PORT),
  ),
  DATABASE_URL: optional(
    z.url({ protocol: /^postgres(ql)?$/, hostname: HOST, error: 'must be a postgresql:// URL that names a host' }),
  ),
  REDIS_URL: optional(
    z.url({ protocol: /^rediss?$/, hostname: HOST, error: 'must be a redis:// or rediss:// URL that names a host' }),
  ),
  S3_ENDPOINT: optional(z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' })),
  S3_REGION: z.preprocess(unset, z.string().default('us-east-1')),
  S3_BUCKET: z.preprocess(
    unset,
    z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be an S3 bucket name')
      .default('corral'),
  ),
  S3_ACCESS_KEY_ID: optional(z.string()),
  S3_SECRET_ACCESS_KEY: optional(z.string()),
});

export interface LauncherConfig {
  readonly home: string;
  readonly host: string;
  readonly port: number;
  readonly databaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  /** Absent: the embedded one. */
  readonly objectStore: ObjectStoreSettings | undefined;
  readonly bucket: string;
  readonly workers: number;
}
export interface ObjectStoreSettings {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Throws LaunchFailure with one line that names the variable. */
export function readConfig(environment: NodeJS.ProcessEnv, workers: number): LauncherConfig {
  const parsed = Environment.safeParse(environment);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new LaunchFailure(`${String(issue?.path[0])}: ${issue?.message ?? 'is not valid'}`);
  }
  const env = parsed.data;
  return {
    home: resolve(env.CORRAL_HOME),
    host: env.CORRAL_HOST,
    port: env.CORRAL_PORT,
    databaseUrl: env.DATABASE_URL,
    redisUrl: env.REDIS_URL,
    objectStore: readObjectStore(env),
    bucket: env.S3_BUCKET,
    workers,
  };
}

function readObjectStore(env: z.output<typeof Environment>): ObjectStoreSettings | undefined {
  if (env.S3_ENDPOINT === undefined) return undefined;
  for (const name of ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const) {
    if (env[name] === undefined) throw new LaunchFailure(`${name}: must be set when S3_ENDPOINT is`);
  }
  return {
    endpoint: env.S3_ENDPOINT,
    region: env.S3_REGION,
    accessKeyId: env.S3_ACCESS_KEY_ID ?? '',
    secretAccessKey: env.S3_SECRET_ACCESS_KEY ?? '',
  };
}
