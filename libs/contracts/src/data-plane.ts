import { z } from 'zod';

/**
 * Guest data, as HTTP and WebSocket. The same paths are served three times, each a thin carrier of the next: by the API
 * under the VirtualMachine (for people), by the node agent under `/v1/machines/<uid>/<incarnation>` (for gateways, with
 * a signed token), and by the VM process on its unix socket (for the node agent, at the root). Errors are Status bodies.
 *
 *   POST /exec                        ExecRequest → ExecResult
 *   GET  /exec       (WebSocket)      query command=… (repeated), stdin, stdout, stderr, tty, cwd, env=K=V; subprotocol v5.channel.k8s.io (v4 too)
 *   GET  /serial     (WebSocket)      binary both ways; ?replay=<bytes> sends the scrollback first, ?from=restore what was said since the machine was restored
 *   GET  /serial                      → the scrollback, application/octet-stream
 *   GET  /files?path=                 bytes (ETag none; Content-Length when known) · &list=true → FileList · &stat=true → FileEntry
 *   PUT  /files?path=[&mode=0644]     body = bytes, streamed → FileEntry
 *   DELETE /files?path=               → 200 Status Success
 *   GET  /screenshot                  image/png · ?format=text → text/plain (text mode only, else 409)
 *   POST /input                       InputRequest → 200 Status Success
 */
export const DATA_PLANE_OPERATIONS = ['exec', 'serial', 'files', 'screenshot', 'input'] as const;
export type DataPlaneOperation = (typeof DATA_PLANE_OPERATIONS)[number];

export const dataPlanePath = (uid: string, incarnation: number, operation: DataPlaneOperation): string =>
  `/v1/machines/${uid}/${incarnation}/${operation}`;

/**
 * Claims of the short-lived token a gateway shows to a node: a JWT that the API signs with one of the keys it publishes
 * at SIGNING_KEYS_PATH, of this type and for the audience of that one node. Nodes verify and cannot sign.
 */
export const DataPlaneClaims = z.object({ uid: z.string(), incarnation: z.number().int(), operation: z.enum(DATA_PLANE_OPERATIONS) });
export type DataPlaneClaims = z.output<typeof DataPlaneClaims>;
/** The `typ` of its header: no other token signed with the same keys passes for one. Source: RFC 8725, 3.11. */
export const DATA_PLANE_TOKEN_TYPE = 'corral-data-plane+jwt';
export const DATA_PLANE_TOKEN_ALGORITHM = 'ES256';
export const dataPlaneAudience = (nodeName: string): string => `corral-data-plane:${nodeName}`;
/** The API's public keys as a JWK Set. Source: RFC 7517. */
export const SIGNING_KEYS_PATH = '/openid/v1/jwks';

/** What the node's own machines use now: `GET` with a token whose claims are NodeUsageClaims. */
export const NODE_USAGE_PATH = '/v1/usage';
export const NodeUsageClaims = z.object({ operation: z.literal('usage') });
export type NodeUsageClaims = z.output<typeof NodeUsageClaims>;

const Usage = z.object({ cpuCores: z.number().nonnegative(), memoryBytes: z.number().int().nonnegative(), windowSeconds: z.number().positive() });
export const NodeUsage = z.object({
  measuredAt: z.string(),
  /** The node agent and all its VM processes; absent until it was watched for some seconds. */
  node: Usage.optional(),
  machines: z.array(z.object({ uid: z.string(), namespace: z.string(), name: z.string(), usage: Usage })),
});
export type NodeUsage = z.output<typeof NodeUsage>;

export const ExecRequest = z.strictObject({
  command: z.array(z.string()).min(1, 'must name the program to run'),
  stdin: z.string().default(''),
  env: z.record(z.string(), z.string()).default({}),
  cwd: z.string().default(''),
  timeoutSeconds: z.number().positive().max(3600).default(60),
});
export type ExecRequest = z.output<typeof ExecRequest>;

export interface FileEntry {
  readonly name: string;
  readonly path: string;
  readonly type: 'File' | 'Directory' | 'SymbolicLink' | 'Other';
  readonly sizeBytes: number;
  /** Permission bits in octal, e.g. `0644`. */
  readonly mode: string;
  readonly modifiedAt: string;
}
export interface FileList {
  readonly path: string;
  readonly entries: readonly FileEntry[];
}

export const InputRequest = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text'), text: z.string().max(4096) }),
  /** KeyboardEvent.code values, pressed in order and released in reverse. */
  z.strictObject({ type: z.literal('keys'), codes: z.array(z.string()).min(1).max(8) }),
  z.strictObject({
    type: z.literal('mouse'),
    /** Position in pixels of the current screen. */
    x: z.number().int().min(0).optional(),
    y: z.number().int().min(0).optional(),
    /** A click at the position, or a button held or released. */
    action: z.enum(['move', 'click', 'down', 'up']).default('move'),
    button: z.enum(['left', 'middle', 'right']).default('left'),
    wheel: z.number().int().min(-10).max(10).optional(),
  }),
]);
export type InputRequest = z.output<typeof InputRequest>;
