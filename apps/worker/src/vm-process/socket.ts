import type { WebSocket } from 'ws';

/** Proxies between here and the viewer drop connections that are silent for 30 s. */
const PING_EVERY_MS = 15_000;

/** Pings an idle socket, and ends one whose other side is gone. Returns how to stop. */
export function keepAlive(socket: WebSocket): () => void {
  let answered = true;
  socket.on('pong', () => {
    answered = true;
  });
  const timer = setInterval(() => {
    // A paused socket reads no pongs.
    if (!answered && !socket.isPaused) return socket.terminate();
    answered = false;
    socket.ping();
  }, PING_EVERY_MS);
  socket.once('close', () => clearInterval(timer));
  return () => clearInterval(timer);
}

/** Resolves when the bytes are on their way, so that whoever awaits it goes no faster than the other side reads. */
export function sendFully(socket: WebSocket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
