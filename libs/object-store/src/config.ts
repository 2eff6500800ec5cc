import { z } from 'zod';

/** An empty variable is one that is not set. */
const unset = (value: unknown): unknown => (value === '' ? undefined : value);

/** Where the object store is, from the environment. A main.ts parses it; nothing else reads the environment. */
export const ObjectStoreConfig = z
  .object({
    S3_ENDPOINT: z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }),
    S3_REGION: z.preprocess(unset, z.string().default('us-east-1')),
    S3_BUCKET: z.preprocess(
      unset,
      z
        .string()
        .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be an S3 bucket name')
        .default('corral'),
    ),
    S3_ACCESS_KEY_ID: z.string('must be set').min(1, 'must be set'),
    S3_SECRET_ACCESS_KEY: z.string('must be set').min(1, 'must be set'),
  })
  .transform((env) => ({
    endpoint: env.S3_ENDPOINT,
    region: env.S3_REGION,
    bucket: env.S3_BUCKET,
    accessKeyId: env.S3_ACCESS_KEY_ID,
    secretAccessKey: env.S3_SECRET_ACCESS_KEY,
  }));
export type ObjectStoreConfig = Readonly<z.output<typeof ObjectStoreConfig>>;
