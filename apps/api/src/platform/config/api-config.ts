import { z } from 'zod';
import { isNetwork } from '../http/address-policy.ts';
import { TRAFFIC_ENVIRONMENT, trafficOf } from '../traffic/traffic-config.ts';
import { IDENTITY_ENV, identityConfigOf, requireWholeOpenId } from './identity-config.ts';

/** An empty variable is one that is not set. */
const unset = (value: unknown): unknown => (value === '' ? undefined : value);
const withDefault = (value: string) => z.preprocess(unset, z.string().default(value));
const PORT = 'must be a port number, from 0 to 65535';
const port = z
  .string()
  .regex(/^\d{1,5}$/, PORT)
  .transform(Number)
  .refine((number) => number <= 65_535, PORT);
const HOST = /./;
const secret = z.string().min(16, 'must have at least 16 characters');

/** What a process does; all of it by default. Every process answers /livez, /readyz, /metrics and /version. */
export const ROLES = ['api', 'controllers', 'scheduler'] as const;
export type Role = (typeof ROLES)[number];

/** Settings of the API server, read once at start. */
export const ApiConfig = z
  .object({
    DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, hostname: HOST, error: 'must be a postgresql:// URL that names a host' }),
    REDIS_URL: z.url({ protocol: /^rediss?$/, hostname: HOST, error: 'must be a redis:// or rediss:// URL that names a host' }),
    S3_ENDPOINT: z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }),
    S3_REGION: withDefault('us-east-1'),
    S3_BUCKET: withDefault('corral'),
    S3_ACCESS_KEY_ID: z.string().min(1),
    S3_SECRET_ACCESS_KEY: z.string().min(1),
    CORRAL_HOST: withDefault('127.0.0.1'),
    CORRAL_PORT: z.preprocess(unset, port.default(8086)),
    CORRAL_ROLES: z.preprocess(
      unset,
      z
        .string()
        .default(ROLES.join(','))
        .transform((list) => list.split(',').map((role) => role.trim()).filter((role) => role !== ''))
        .pipe(z.array(z.enum(ROLES), `must be some of ${ROLES.join(', ')}, separated by commas`).min(1, `must name one of ${ROLES.join(', ')}`)),
    ),
    CORRAL_ADMIN_TOKEN: secret,
    CORRAL_NODE_TOKEN: secret,
    CORRAL_CONSOLE_DIR: z.string().optional(),
    /** Holds tls.crt and tls.key; made when missing. Set: HTTPS too, on the same port. */
    CORRAL_TLS_DIR: z.string().optional(),
    /** 1: images may be fetched from private addresses too. */
    CORRAL_IMAGE_FETCH_ALLOW_PRIVATE: z.enum(['0', '1']).default('0'),
    /** Private addresses and networks images may be fetched from, e.g. `10.1.0.0/16,192.168.7.7`. */
    CORRAL_IMAGE_FETCH_NETWORKS: z
      .string()
      .default('')
      .transform((list) => list.split(',').map((item) => item.trim()).filter((item) => item !== ''))
      .refine((list) => list.every(isNetwork), 'must be addresses or networks such as 10.1.0.0/16, separated by commas'),
    /** How long a freshly booted guest may take to come to rest before its golden snapshot is taken all the same: what is not done then, every machine does again. */
    CORRAL_BAKE_SETTLE_SECONDS: z.coerce.number('must be a number of seconds').min(0).max(300).default(60),
    /** How long the moment of a live fork waits for the machines of its request to be created: a request is over long before. */
    CORRAL_FORK_GATHERING_SECONDS: z.preprocess(unset, z.coerce.number('must be a number of seconds').min(1).max(300).default(30)),
    /** How long a machine stays on a node that cannot be reached, from when that was noticed, unless its tolerations say otherwise. */
    CORRAL_EVICTION_SECONDS: z.preprocess(unset, z.coerce.number('must be a number of seconds').min(0).max(86_400).default(30)),
    /** How many lost nodes may be emptied in a minute. */
    CORRAL_EVICTED_NODES_PER_MINUTE: z.preprocess(unset, z.coerce.number('must be a number of nodes').positive().max(6_000).default(6)),
    /** Where machines go that name no scheduler: Spread, to where most memory is left; BinPack, to where least is. */
    CORRAL_SCHEDULER_PROFILE: z.preprocess(unset, z.enum(['Spread', 'BinPack'], 'must be Spread or BinPack').default('Spread')),
    ...TRAFFIC_ENVIRONMENT,
    CORRAL_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    CORRAL_EXIT_ON_STDIN_EOF: z.enum(['0', '1']).default('0'),
    ...IDENTITY_ENV,
  })
  .superRefine(requireWholeOpenId)
  .transform((env) => ({
    databaseUrl: env.DATABASE_URL,
    redisUrl: env.REDIS_URL,
    s3: {
      endpoint: env.S3_ENDPOINT,
      region: env.S3_REGION,
      bucket: env.S3_BUCKET,
      accessKeyId: env.S3_ACCESS_KEY_ID,
      secretAccessKey: env.S3_SECRET_ACCESS_KEY,
    },
    host: env.CORRAL_HOST,
    port: env.CORRAL_PORT,
    roles: env.CORRAL_ROLES,
    adminToken: env.CORRAL_ADMIN_TOKEN,
    nodeToken: env.CORRAL_NODE_TOKEN,
    consoleDir: env.CORRAL_CONSOLE_DIR,
    tlsDir: env.CORRAL_TLS_DIR,
    imageFetch: { allowPrivate: env.CORRAL_IMAGE_FETCH_ALLOW_PRIVATE === '1', allowed: env.CORRAL_IMAGE_FETCH_NETWORKS },
    bakeSettleMs: env.CORRAL_BAKE_SETTLE_SECONDS * 1000,
    forkGatheringMs: env.CORRAL_FORK_GATHERING_SECONDS * 1000,
    evictAfterMs: env.CORRAL_EVICTION_SECONDS * 1000,
    evictedNodesPerMinute: env.CORRAL_EVICTED_NODES_PER_MINUTE,
    schedulerProfile: env.CORRAL_SCHEDULER_PROFILE,
    traffic: trafficOf(env),
    logLevel: env.CORRAL_LOG_LEVEL,
    exitOnStdinEof: env.CORRAL_EXIT_ON_STDIN_EOF === '1',
    ...identityConfigOf(env),
  }));
export type ApiConfig = Readonly<z.output<typeof ApiConfig>>;

/** Injects the ApiConfig. */
export const API_CONFIG = Symbol('ApiConfig');
