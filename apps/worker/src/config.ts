import { MEMORY_MODES } from '@corral/memory';
import { ObjectStoreConfig } from '@corral/object-store';
import { z } from 'zod';

const PORT = 'must be a port number, from 0 to 65535';
const Port = z
  .string()
  .regex(/^\d{1,5}$/, PORT)
  .transform(Number)
  .refine((port) => port <= 65_535, PORT);
const Url = z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' });

/** Settings of a node agent, by the names of their environment variables. */
const Environment = z.object({
  CORRAL_API_URL: Url,
  CORRAL_NODE_TOKEN: z.string().min(1),
  CORRAL_NODE_NAME: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be a DNS label')
    .max(63)
    .default('worker-1'),
  CORRAL_WORKER_HOME: z.string().min(1),
  CORRAL_DATA_PLANE_HOST: z.string().min(1).default('127.0.0.1'),
  CORRAL_DATA_PLANE_PORT: Port.default(0),
  /** Where gateways reach this node, when it is not simply host and port. */
  CORRAL_DATA_PLANE_URL: Url.optional(),
  CORRAL_FIRMWARE_DIR: z.string().min(1),
  /** VM processes that wait for machines; by default what a 40th of the memory for machines holds, 2 to 20. One takes about 25 MiB. */
  CORRAL_POOL_SIZE: z.coerce.number().int().min(0).max(64).optional(),
  /** After a burst of starts as many wait as it took, up to this. */
  CORRAL_POOL_MAXIMUM: z.coerce.number().int().min(0).max(256).default(24),
  CORRAL_MACHINES_MAX: z.coerce.number().int().min(1).max(10_000).default(250),
  /** Kept from guests for the agent and the rest of the host. */
  CORRAL_RESERVED_MEMORY_MIB: z.coerce.number().int().min(0).default(512),
  /** How long this node may go without renewing its Lease before it serves nothing and is taken for lost. */
  CORRAL_LEASE_SECONDS: z.coerce.number().int().min(2).max(40).default(40),
  /** What a node agent that is told to stop does with its machines: keep their memory on its disk, or have them moved to other nodes. */
  CORRAL_ON_STOP: z.enum(['suspend', 'move']).default('suspend'),
  /** How long moving may take then; what is left is suspended. */
  CORRAL_MOVE_SECONDS: z.coerce.number().int().min(1).max(3_600).default(60),
  /** Node agents that divide this host's memory among them. */
  CORRAL_WORKERS_ON_HOST: z.coerce.number().int().min(1).max(64).default(1),
  /** How long what a machine was written out as may be nowhere before it goes on from its last snapshot instead. */
  CORRAL_LOST_STATE_SECONDS: z.coerce.number().int().min(1).max(86_400).default(300),
  CORRAL_ARTIFACT_CACHE_MIB: z.coerce.number().int().min(1).default(20_480),
  /** Memory for bases that nobody uses just now, together with those in use. */
  CORRAL_BASE_MEMORY_MIB: z.coerce.number().int().min(0).default(2_048),
  CORRAL_SNAPSHOT_CACHE_MIB: z.coerce.number().int().min(1).default(10_240),
  /** The best way to hold guests' RAM that is used here, also where the host has a better one. */
  CORRAL_MEMORY_MODE: z.enum(MEMORY_MODES).default('Full'),
  /** What the RAM of this node's machines may take together; by default all that is not kept for the host. */
  CORRAL_MEMORY_BUDGET_MIB: z.coerce.number().int().min(16).optional(),
  /** Where machines' cold pages go; by default to the Redis of REDIS_URL. */
  CORRAL_SWAP_REDIS_URL: z.url({ protocol: /^(rediss?|unix)$/, error: 'must be a redis:// or unix:// URL' }).optional(),
  CORRAL_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  CORRAL_EXIT_ON_STDIN_EOF: z.enum(['0', '1']).default('0'),
  REDIS_URL: z
    .url({ protocol: /^rediss?$/, hostname: /./, error: 'must be a redis:// or rediss:// URL that names a host' })
    .optional(),
});

const AgentConfig = Environment.transform((env) => ({
  apiUrl: env.CORRAL_API_URL,
  nodeToken: env.CORRAL_NODE_TOKEN,
  nodeName: env.CORRAL_NODE_NAME,
  home: env.CORRAL_WORKER_HOME,
  firmwareDirectory: env.CORRAL_FIRMWARE_DIR,
  ...(env.CORRAL_POOL_SIZE === undefined ? {} : { poolSize: env.CORRAL_POOL_SIZE }),
  poolMaximum: env.CORRAL_POOL_MAXIMUM,
  machinesMax: env.CORRAL_MACHINES_MAX,
  reservedMemoryMiB: env.CORRAL_RESERVED_MEMORY_MIB,
  leaseSeconds: env.CORRAL_LEASE_SECONDS,
  onStop: env.CORRAL_ON_STOP,
  moveSeconds: env.CORRAL_MOVE_SECONDS,
  workersOnHost: env.CORRAL_WORKERS_ON_HOST,
  lostStateMs: env.CORRAL_LOST_STATE_SECONDS * 1000,
  artifactCacheMiB: env.CORRAL_ARTIFACT_CACHE_MIB,
  baseMemoryMiB: env.CORRAL_BASE_MEMORY_MIB,
  snapshotCacheMiB: env.CORRAL_SNAPSHOT_CACHE_MIB,
  memoryMode: env.CORRAL_MEMORY_MODE,
  memoryBudgetMiB: env.CORRAL_MEMORY_BUDGET_MIB,
  swapRedisUrl: env.CORRAL_SWAP_REDIS_URL ?? env.REDIS_URL,
  logLevel: env.CORRAL_LOG_LEVEL,
  exitOnStdinEof: env.CORRAL_EXIT_ON_STDIN_EOF === '1',
  redisUrl: env.REDIS_URL,
  dataPlane: {
    host: env.CORRAL_DATA_PLANE_HOST,
    port: env.CORRAL_DATA_PLANE_PORT,
    url: env.CORRAL_DATA_PLANE_URL,
  },
}));
/** Everything main.ts takes from the environment. */
export const WorkerConfig = z.intersection(
  AgentConfig,
  ObjectStoreConfig.transform((objectStore) => ({ objectStore })),
);
export type WorkerConfig = Readonly<z.output<typeof WorkerConfig>>;

/** One line that names the variables and what is wrong with them. */
export function configProblem(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}
