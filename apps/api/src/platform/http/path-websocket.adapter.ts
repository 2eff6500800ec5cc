import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { INestApplicationContext } from '@nestjs/common';
import { AbstractWsAdapter } from '@nestjs/websockets';
import { Problem, toStatus } from '@corral/contracts';
import type { WebSocket } from 'ws';
import type { UpgradeGate } from '../auth/upgrade-gate.ts';
import { requireDeclaredGuard } from '../auth/route-guards.ts';
import { GatewayServer, type GatewayOptions, type UpgradeRequest } from './gateway-server.ts';
import { parseTarget } from './request-target.ts';
import type { RouteCatalogue } from './route-catalogue.ts';
import { problemOf, retryAfterSecondsOf, statusOf } from './status-reply.ts';

const SWITCHING_PROTOCOLS = 101;

/**
 * Nest's gateways on the API's own port. Nest's WsAdapter knows fixed paths only; guests are reached by paths with names
 * in them, and a refusal (401, 403, 409) has to be an HTTP answer with a Status, before the handshake.
 */
export class PathWebSocketAdapter extends AbstractWsAdapter {
  readonly #servers: GatewayServer[] = [];
  readonly #http: Server;

  constructor(
    app: INestApplicationContext,
    private readonly gate: UpgradeGate,
    private readonly catalogue: RouteCatalogue,
  ) {
    super(app);
    this.#http = this.httpServer as Server;
    this.#http.on('upgrade', this.#onUpgrade);
  }

  override create(_port: number, options: GatewayOptions): GatewayServer {
    requireDeclaredGuard('GET', options.path);
    const server = new GatewayServer(options);
    this.#servers.push(server);
    this.catalogue.add('GET', options.path, options.description, true);
    return server;
  }

  /** Messages are a guest's bytes, or a gateway's own protocol: gateways listen to the client themselves. */
  override bindMessageHandlers(): void {}

  override bindClientDisconnect(client: WebSocket, callback: () => void): void {
    client.once('close', callback);
  }

  override async close(server: GatewayServer): Promise<void> {
    await server.stop();
  }

  override async dispose(): Promise<void> {
    this.#http.off('upgrade', this.#onUpgrade);
  }

  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    this.#upgrade(request, socket, head).catch((error: unknown) => refuse(request, socket, error));
  };

  async #upgrade(raw: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = parseTarget(raw.url ?? '/');
    for (const server of this.#servers) {
      const params = server.match(url.pathname);
      if (!params) continue;
      const { user, subprotocols, opened, answered } = await this.gate.admit(raw, url);
      const request: UpgradeRequest = { user, params, query: url.searchParams, subprotocols, raw };
      const admitted = await server.admit(request).catch((error: unknown) => {
        const { code, reason } = toStatus(problemOf(error) ?? error);
        answered?.(code, reason);
        throw error;
      });
      server.handleUpgrade(raw, socket, head, (client) => {
        client.on('error', () => client.terminate());
        opened(client);
        answered?.(SWITCHING_PROTOCOLS);
        server.emit('connection', client, request, admitted);
      });
      return;
    }
    throw new Problem('route.not-found', 'the server could not find the requested resource');
  }
}

function refuse(request: IncomingMessage, socket: Duplex, error: unknown): void {
  const status = statusOf(error, request);
  const body = JSON.stringify(status);
  const wait = retryAfterSecondsOf(status);
  socket.end(
    `HTTP/1.1 ${status.code} ${status.reason ?? 'Error'}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${wait === undefined ? '' : `Retry-After: ${wait}\r\n`}Connection: close\r\n\r\n${body}`,
  );
}
