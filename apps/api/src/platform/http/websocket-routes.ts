import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Problem, toStatus } from '@corral/contracts';
import { WebSocketServer, type WebSocket } from 'ws';
import { UPGRADE_GATE, type UpgradeGate } from '../auth/upgrade-gate.ts';
import type { User } from '../auth/user.ts';

export interface UpgradeRequest {
  readonly user: User;
  /** Values of the `:names` in the route's path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** What the client offers, without the one that carries a token. */
  readonly subprotocols: readonly string[];
  readonly raw: IncomingMessage;
}

export interface WebSocketRoute<Admitted = void> {
  /** E.g. `/apis/corral.dev/v1/namespaces/:namespace/virtualmachines/:name/serial`. */
  readonly path: string;
  /** Subprotocols spoken here, best first. Absent: none is needed. A client that offers only others is refused. */
  readonly subprotocols?: readonly string[];
  /** Longest message taken from a client, in bytes. */
  readonly maxMessageBytes?: number;
  /** Runs before the handshake, after authentication and authorization: a Problem thrown here is an ordinary HTTP answer. */
  admit?(request: UpgradeRequest): Promise<Admitted>;
  /** The socket is open; `socket.protocol` says which subprotocol was chosen. */
  open(socket: WebSocket, request: UpgradeRequest, admitted: Admitted): void | Promise<void>;
}

const DEFAULT_MAX_MESSAGE_BYTES = 1024 * 1024;

/**
 * WebSocket endpoints on the API's own port. Nest's WsAdapter knows fixed paths only; guests are reached by paths with
 * names in them, and a refusal (401, 403, 409) has to be an HTTP answer with a Status, before the handshake.
 */
@Injectable()
export class WebSocketRoutes implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #routes: { readonly pattern: readonly string[]; readonly route: WebSocketRoute<unknown>; readonly server: WebSocketServer }[] = [];

  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(UPGRADE_GATE) private readonly gate: UpgradeGate,
  ) {}

  /** Call from a provider's constructor or onModuleInit. */
  add<Admitted>(route: WebSocketRoute<Admitted>): void {
    const server = new WebSocketServer({
      noServer: true,
      maxPayload: route.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
      handleProtocols: (offered) => route.subprotocols?.find((name) => offered.has(name)) ?? false,
    });
    this.#routes.push({ pattern: route.path.split('/'), route: route as WebSocketRoute<unknown>, server });
  }

  onApplicationBootstrap(): void {
    const server = this.host.httpAdapter.getHttpServer() as NodeJS.EventEmitter;
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      this.#upgrade(request, socket, head).catch((error: unknown) => refuse(socket, error));
    });
  }

  beforeApplicationShutdown(): void {
    for (const { server } of this.#routes) {
      for (const socket of server.clients) socket.close(1001, 'the server is stopping');
      server.close();
    }
  }

  async #upgrade(raw: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = new URL(raw.url ?? '/', 'http://localhost');
    for (const { pattern, route, server } of this.#routes) {
      const params = matchPath(pattern, url.pathname);
      if (!params) continue;
      const { user, subprotocols } = await this.gate.admit(raw, url);
      if (route.subprotocols && subprotocols.length > 0 && !route.subprotocols.some((name) => subprotocols.includes(name))) {
        throw new Problem('request.malformed', `none of the subprotocols offered is spoken here; known: ${route.subprotocols.join(', ')}`);
      }
      const request: UpgradeRequest = { user, params, query: url.searchParams, subprotocols, raw };
      const admitted = await route.admit?.(request);
      server.handleUpgrade(raw, socket, head, (client) => {
        client.on('error', () => client.terminate());
        Promise.resolve(route.open(client, request, admitted)).catch(() => client.close(1011, 'internal error'));
      });
      return;
    }
    throw new Problem('route.not-found', 'the server could not find the requested resource');
  }
}

/** The values of the pattern's `:names`, or undefined when the path is another. */
function matchPath(pattern: readonly string[], path: string): Record<string, string> | undefined {
  const parts = path.split('/');
  if (parts.length !== pattern.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const part = parts[index] ?? '';
    if (!expected.startsWith(':')) {
      if (part !== expected) return undefined;
    } else if (part === '') {
      return undefined;
    } else {
      params[expected.slice(1)] = decodePart(part);
    }
  }
  return params;
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Problem('request.malformed', 'the path is not valid percent-encoding');
  }
}

function refuse(socket: Duplex, error: unknown): void {
  const status = toStatus(error);
  const body = JSON.stringify(status);
  socket.end(
    `HTTP/1.1 ${status.code} ${status.reason ?? 'Error'}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
