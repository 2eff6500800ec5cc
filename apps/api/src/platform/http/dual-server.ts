import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Certificate } from './certificate.ts';

/** First byte of a TLS handshake record (RFC 8446 §5.1); no HTTP method begins with it. */
const TLS_HANDSHAKE = 0x16;
const FIRST_BYTE_TIMEOUT_MS = 10_000;

interface ServerOptions {
  readonly headersTimeoutMs: number;
  /** Absent: HTTP only. */
  readonly certificate: Certificate | undefined;
}

/**
 * HTTP and HTTPS on one port, told apart by the first byte. curl and the console are at home on plain HTTP on this machine;
 * kubectl sends a token over TLS and nowhere else.
 */
export function createDualServer(handler: RequestListener, { headersTimeoutMs, certificate }: ServerOptions): Server {
  // Bodies have deadlines of their own: an upload may take as long as it makes progress.
  const timeouts = { headersTimeout: headersTimeoutMs, requestTimeout: 0 };
  const plain = createServer(timeouts, handler);
  if (!certificate) return plain;

  const secure = createTlsServer({ ...certificate, ...timeouts }, handler);
  secure.on('upgrade', (request, socket, head) => plain.emit('upgrade', request, socket, head));
  secure.on('clientError', (error, socket) => plain.emit('clientError', error, socket));
  secure.on('tlsClientError', (_error, socket) => socket.destroy());

  // Only a server that listens keeps track of its connections: their header timeouts, and what there is to close.
  plain.once('listening', () => secure.emit('listening'));
  plain.once('close', () => secure.close());

  const servePlain = plain.listeners('connection') as ((this: Server, socket: Socket) => void)[];
  plain.removeAllListeners('connection');
  const sockets = new Set<Socket>();
  const undecided = new Set<Socket>();
  plain.on('connection', (socket) => {
    sockets.add(socket);
    undecided.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      undecided.delete(socket);
    });
    socket.setTimeout(FIRST_BYTE_TIMEOUT_MS, () => socket.destroy());
    const onError = (): void => void socket.destroy();
    socket.on('error', onError);
    const dispatch = (): void => {
      const first = socket.read(1) as Buffer | null;
      if (!first) {
        socket.once('readable', dispatch);
        return;
      }
      undecided.delete(socket);
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      socket.off('error', onError);
      socket.unshift(first);
      if (first[0] === TLS_HANDSHAKE) secure.emit('connection', socket);
      else for (const serve of servePlain) serve.call(plain, socket);
    };
    dispatch();
  });

  // Also those in the middle of a TLS handshake, which neither server knows.
  plain.closeAllConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
  const closeIdle = plain.closeIdleConnections.bind(plain);
  plain.closeIdleConnections = () => {
    for (const socket of undecided) socket.destroy();
    secure.closeIdleConnections();
    closeIdle();
  };
  return plain;
}
