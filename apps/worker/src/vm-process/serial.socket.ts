import type { WebSocket } from 'ws';
import { keepAlive, sendFully } from './socket.ts';
import type { SerialHub } from './serial.hub.ts';

const MAX_WAITING_INPUT_BYTES = 64 * 1024;

/** Shows the serial line from a position on, and types into it, until the socket closes. */
export function serveSerialSocket(serial: SerialHub, socket: WebSocket, from: number): void {
  keepAlive(socket);
  showOutput(serial, socket, from);
  let waitingBytes = 0;
  socket.on('message', (data: Buffer) => {
    waitingBytes += data.length;
    if (waitingBytes > MAX_WAITING_INPUT_BYTES) socket.pause();
    void serial.write(data).then(() => {
      waitingBytes -= data.length;
      if (socket.isPaused && waitingBytes <= MAX_WAITING_INPUT_BYTES) socket.resume();
    });
  });
}

/** At most one message is on its way: a viewer that reads slowly gets larger ones, and skips what has scrolled away. */
function showOutput(serial: SerialHub, socket: WebSocket, from: number): void {
  let position = Math.max(0, from);
  let sending = false;
  const show = (): void => {
    if (sending || position === serial.end) return;
    const { bytes, end } = serial.since(position);
    position = end;
    sending = true;
    sendFully(socket, bytes).then(
      () => {
        sending = false;
        show();
      },
      () => socket.terminate(),
    );
  };
  socket.once('close', serial.watch(show));
  show();
}
