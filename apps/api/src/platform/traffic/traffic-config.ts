import { z } from 'zod';

const unset = (value: unknown): unknown => (value === '' ? undefined : value);
const number = (fallback: number, min: number, max: number) => z.preprocess(unset, z.coerce.number(`must be a number from ${min} to ${max}`).min(min).max(max).default(fallback));

/** How much of the API one user or tenant may take. */
export const TRAFFIC_ENVIRONMENT = {
  /** Requests a second each user may send for long; 0: as many as they like. */
  CORRAL_USER_REQUESTS_PER_SECOND: number(200, 0, 1_000_000),
  /** Requests a user may send at once after a while of quiet. */
  CORRAL_USER_REQUEST_BURST: number(400, 1, 1_000_000),
  /** Requests of tenants carried out at once; as many again for nodes. */
  CORRAL_REQUEST_SEATS: number(24, 1, 10_000),
  /** Requests of one tenant that may wait for a seat. */
  CORRAL_REQUEST_QUEUE_LENGTH: number(200, 0, 100_000),
  /** How long a request waits for a seat before it is told to come back. */
  CORRAL_REQUEST_QUEUE_SECONDS: number(10, 0, 300),
  /** Watches, waits and sockets each user may have open; 0: as many as they like. */
  CORRAL_USER_OPEN_CONNECTIONS: number(1_000, 0, 1_000_000),
  /** How long the body of an object or command may take to arrive. Uploads have no such limit. */
  CORRAL_REQUEST_BODY_SECONDS: number(30, 0.1, 3_600),
};

const Environment = z.object(TRAFFIC_ENVIRONMENT);

export const trafficOf = (env: z.output<typeof Environment>) => ({
  perSecond: env.CORRAL_USER_REQUESTS_PER_SECOND,
  burst: env.CORRAL_USER_REQUEST_BURST,
  seats: env.CORRAL_REQUEST_SEATS,
  queueLength: env.CORRAL_REQUEST_QUEUE_LENGTH,
  queueMs: env.CORRAL_REQUEST_QUEUE_SECONDS * 1000,
  openConnections: env.CORRAL_USER_OPEN_CONNECTIONS,
  bodyMs: env.CORRAL_REQUEST_BODY_SECONDS * 1000,
});
export type TrafficConfig = Readonly<ReturnType<typeof trafficOf>>;

export const DEFAULT_TRAFFIC: TrafficConfig = trafficOf(Environment.parse({}));
