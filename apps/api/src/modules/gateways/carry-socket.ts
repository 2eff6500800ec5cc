import { WebSocket } from 'ws';

/** Above this a side is not read until the other has caught up; a guest that floods costs this much memory and no more. */
const HIGH_WATER_BYTES = 1024 * 1024;
const LOW_WATER_BYTES = 256 * 1024;
const PING_MS = 15_000;

/** Carries messages both ways until either side ends; then the other is closed with the same code. */
export function carrySocket(client: WebSocket, upstream: WebSocket): void {
  carry(client, upstream, (code, reason) => closeWith(upstream, code, reason));
  carry(upstream, client, (code, reason) => closeWith(client, code, reason));
  keepAlive(client);
  keepAlive(upstream);
  upstream.resume();
}

/** Carries messages one way, no faster than they are taken, and tells of the end of the side they come from. */
export function carry(from: WebSocket, to: WebSocket, onEnd: (code: number, reason: Buffer) => void): void {
  from.on('message', (data, binary) => {
    if (to.readyState !== WebSocket.OPEN) return;
    to.send(data, { binary }, () => {
      if (from.isPaused && to.bufferedAmount < LOW_WATER_BYTES) from.resume();
    });
    if (to.bufferedAmount > HIGH_WATER_BYTES) from.pause();
  });
  from.once('close', (code, reason) => {
    // A side paused because of `from` would never see its own end.
    to.resume();
    onEnd(code, reason);
  });
  from.once('error', () => from.terminate());
}

/** Source: RFC 6455, 7.4.1: 1005, 1006 and 1015 are never sent; they say that no code came. */
export function closeWith(socket: WebSocket, code: number, reason: Buffer): void {
  if (socket.readyState !== WebSocket.OPEN) return socket.terminate();
  if (code === 1005) socket.close();
  else if (code === 1006 || code === 1015) socket.close(1011, 'the other side went away');
  else socket.close(code, reason);
}

/** Proxies drop idle connections (kubectl's own limit is 20 s); a peer that misses two pings in a row is gone. */
export function keepAlive(socket: WebSocket): void {
  let unanswered = 0;
  socket.on('pong', () => (unanswered = 0));
  const timer = setInterval(() => {
    // While paused, pongs are not read either.
    if (socket.isPaused) return;
    if (unanswered >= 2) return socket.terminate();
    unanswered += 1;
    socket.ping();
  }, PING_MS);
  socket.once('close', () => clearInterval(timer));
}
