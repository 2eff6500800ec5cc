import { rm } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';
import { Problem } from '@corral/contracts/for-vm-process';
import type { WebSocket, WebSocketServer } from 'ws';
import { runCommand } from './exec.run.ts';
import { EXEC_SUBPROTOCOLS, parseExecQuery, serveExecSocket } from './exec.socket.ts';
import { serveFiles } from './files.http.ts';
import { applyInput } from './input.http.ts';
import { createServer } from './lean-http.ts';
import { execRequest, inputRequest, readBody, replayBytes } from './requests.ts';
import { readJson, refuseUpgrade, respondError, respondJson, SUCCESS } from './respond.ts';
import { serveScreenshot } from './screen.http.ts';
import { serveSerialTail } from './serial.http.ts';
import { serveSerialSocket } from './serial.socket.ts';
import type { Vm } from './vm.ts';

const MAX_MESSAGE_BYTES = 1024 * 1024;

/** Serves the data plane (libs/contracts, data-plane.ts) of one machine on a unix socket. */
export class DataPlaneServer {
  readonly #vm: Vm;
  readonly #server: Server;
  #sockets: WebSocketServer | undefined;

  constructor(vm: Vm) {
    this.#vm = vm;
    this.#server = createServer({ requestTimeout: 0 }, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => respondError(response, error));
    });
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  async listen(socketPath: string): Promise<void> {
    // A process that was killed leaves its socket's name behind.
    await rm(socketPath, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(socketPath, () => {
        this.#server.removeListener('error', reject);
        resolve();
      });
    });
  }

  /** Hears nothing more, and ends what is open. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = urlOf(request);
    switch (pathname) {
      case '/exec': {
        allow(request, 'POST');
        const body = readBody(execRequest, await readJson(request));
        const abort = new AbortController();
        response.once('close', () => abort.abort());
        return this.#using(async () => respondJson(response, 200, await runCommand(this.#vm.agent(), body, abort.signal)));
      }
      case '/files':
        return this.#using(() => serveFiles(this.#vm.agent(), request, response, searchParams));
      case '/screenshot':
        allow(request, 'GET');
        return serveScreenshot(this.#vm.emulator().screen, response, searchParams);
      case '/serial':
        allow(request, 'GET');
        this.#vm.emulator();
        return serveSerialTail(this.#vm.serial, response);
      case '/input': {
        allow(request, 'POST');
        const body = readBody(inputRequest, await readJson(request));
        return this.#using(async () => {
          await applyInput(this.#vm.running(), body);
          respondJson(response, 200, SUCCESS);
        });
      }
      default:
        throw new Problem('route.not-found', `the machine does not serve ${request.method} ${pathname}`);
    }
  }

  async #using<T>(work: () => T | Promise<T>): Promise<T> {
    const end = this.#vm.activity.begin();
    try {
      return await work();
    } finally {
      end();
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Node takes its own listener away at an upgrade; a client that hangs up must not end the machine.
    socket.on('error', () => socket.destroy());
    try {
      const { pathname, searchParams } = urlOf(request);
      switch (pathname) {
        case '/exec': {
          const exec = parseExecQuery(searchParams);
          this.#vm.agent();
          return this.#accept(request, socket, head, (client) => {
            // As long as it is open: what runs at its other end would not outlive a hibernation.
            client.once('close', this.#vm.activity.begin());
            serveExecSocket(this.#vm, client, exec);
          });
        }
        case '/serial': {
          this.#vm.emulator();
          return this.#accept(request, socket, head, (client) => {
            client.on('message', () => this.#vm.activity.touch());
            const { serial } = this.#vm;
            // Who watched it fall asleep goes on where it did.
            serveSerialSocket(serial, client, searchParams.get('from') === 'restore' ? serial.restoredAt : serial.end - replayBytes(searchParams));
          });
        }
        default:
          throw new Problem('route.not-found', `the machine has no WebSocket at ${pathname}`);
      }
    } catch (error) {
      refuseUpgrade(socket, error);
    }
  }

  #accept(request: IncomingMessage, socket: Duplex, head: Buffer, serve: (client: WebSocket) => void): void {
    this.#sockets ??= openSockets();
    this.#sockets.handleUpgrade(request, socket, head, (client) => {
      // A frame that is too large, or none at all, ends its connection and nothing else.
      client.on('error', () => client.terminate());
      serve(client);
    });
  }
}

/** Loaded when the first viewer comes: most machines never have one, and it costs 4 MB. */
function openSockets(): WebSocketServer {
  const ws = createRequire(import.meta.url)('ws') as { readonly WebSocketServer: typeof WebSocketServer };
  return new ws.WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => EXEC_SUBPROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
  });
}

function urlOf(request: IncomingMessage): URL {
  return new URL(request.url ?? '/', 'http://machine');
}

function allow(request: IncomingMessage, method: string): void {
  if (request.method !== method) throw new Problem('method.not-allowed', `use ${method}`);
}
