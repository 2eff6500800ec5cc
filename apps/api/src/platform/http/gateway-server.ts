import type { IncomingMessage } from 'node:http';
import type { RouteDescription } from '@corral/api-machinery';
import { Problem } from '@corral/contracts';
import { WebSocketServer, type WebSocket } from 'ws';
import type { User } from '../auth/user.ts';

/** What `@WebSocketGateway` takes here. */
export interface GatewayOptions {
  /** E.g. `/apis/corral.dev/v1/namespaces/:namespace/virtualmachines/:name/serial`. */
  readonly path: string;
  /** Subprotocols spoken here, best first. Absent: none is needed. A client that offers only others is refused. */
  readonly subprotocols?: readonly string[];
  /** What it is for, in the OpenAPI document. */
  readonly description?: RouteDescription;
  /** Longest message taken from a client, in bytes; 1 MiB unless told otherwise. */
  readonly maxMessageBytes?: number;
}

/** A handshake of somebody who may do this. The second argument of `handleConnection`; what was admitted is the third. */
export interface UpgradeRequest {
  readonly user: User;
  /** Values of the `:names` in the gateway's path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** What the client offers, without the one that carries a token. */
  readonly subprotocols: readonly string[];
  readonly raw: IncomingMessage;
}

export type GatewayAdmission<Admitted> = (request: UpgradeRequest) => Promise<Admitted>;

const DEFAULT_MAX_MESSAGE_BYTES = 1024 * 1024;
const STOPPING = 1001;
const FAREWELL_MS = 500;

/** The sockets of one gateway, which gets it in `afterInit`. */
export class GatewayServer<Admitted = unknown> extends WebSocketServer {
  readonly #pattern: readonly string[];
  readonly #subprotocols: readonly string[] | undefined;
  #admission: GatewayAdmission<Admitted> | undefined;

  constructor({ path, subprotocols, maxMessageBytes }: GatewayOptions) {
    super({
      noServer: true,
      maxPayload: maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
      handleProtocols: (offered) => subprotocols?.find((name) => offered.has(name)) ?? false,
    });
    this.#pattern = path.split('/');
    this.#subprotocols = subprotocols;
  }

  /** Runs before each handshake, after authentication and authorization: a Problem thrown here is an ordinary HTTP answer. */
  admitWith(admission: GatewayAdmission<Admitted>): void {
    this.#admission = admission;
  }

  /** The path's values for the gateway's `:names`, or undefined when the path is another. The path is parseTarget's: it decodes. */
  match(path: string): Record<string, string> | undefined {
    const parts = path.split('/');
    if (parts.length !== this.#pattern.length) return undefined;
    const params: Record<string, string> = {};
    for (const [index, expected] of this.#pattern.entries()) {
      const part = parts[index] ?? '';
      if (!expected.startsWith(':')) {
        if (part !== expected) return undefined;
      } else if (part === '') {
        return undefined;
      } else {
        params[expected.slice(1)] = decodeURIComponent(part);
      }
    }
    return params;
  }

  /** What the gateway itself says about a handshake. Refusals: `request.malformed` over subprotocols, and the admission's own. */
  async admit(request: UpgradeRequest): Promise<Admitted | undefined> {
    const { subprotocols } = request;
    if (this.#subprotocols && subprotocols.length > 0 && !this.#subprotocols.some((name) => subprotocols.includes(name))) {
      throw new Problem('request.malformed', `none of the subprotocols offered is spoken here; known: ${this.#subprotocols.join(', ')}`);
    }
    return this.#admission?.(request);
  }

  /** Every client is told that the server stops; those that do not say goodbye in time are cut off. */
  async stop(): Promise<void> {
    for (const client of this.clients) client.close(STOPPING, 'the server is stopping');
    const cutOff = setTimeout(() => this.clients.forEach((client: WebSocket) => client.terminate()), FAREWELL_MS);
    await new Promise<void>((resolve) => this.close(() => resolve()));
    clearTimeout(cutOff);
  }
}
