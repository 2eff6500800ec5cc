import { Inject, Injectable } from '@nestjs/common';
import { type VmPhase } from '@corral/contracts';
import { type WebSocket } from 'ws';
import { WebSocketRoutes, type UpgradeRequest } from '../../platform/http/websocket-routes.ts';
import { carrySocket } from './carry-socket.ts';
import { DataPlaneClient, SHOWN } from './data-plane.client.ts';
import { MACHINE_PATH } from './machine.controller.ts';

const EXEC_SUBPROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const MAX_MESSAGE_BYTES = 1024 * 1024;

/** Interactive exec and the serial console. The node is connected before the client is, so that every refusal is an HTTP answer. */
@Injectable()
export class SocketGateway {
  constructor(
    @Inject(WebSocketRoutes) routes: WebSocketRoutes,
    @Inject(DataPlaneClient) private readonly dataPlane: DataPlaneClient,
  ) {
    routes.add({
      path: `/${MACHINE_PATH}/exec`,
      subprotocols: EXEC_SUBPROTOCOLS,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      admit: (request) => this.#connect(request, 'exec', ['Running'], chosen(request, EXEC_SUBPROTOCOLS)),
      open: (client, _request, connection) => carryOrClose(client, connection),
    });
    routes.add({
      path: `/${MACHINE_PATH}/serial`,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      admit: (request) => this.#connect(request, 'serial', SHOWN, []),
      open: (client, _request, connection) => carryOrClose(client, connection),
    });
  }

  async #connect({ params, query, raw }: UpgradeRequest, operation: 'exec' | 'serial', phases: readonly VmPhase[], subprotocols: readonly string[]): Promise<NodeConnection> {
    const target = await this.dataPlane.find(params['namespace'] ?? '', params['name'] ?? '', phases);
    const upstream = await this.dataPlane.connect(target, operation, query, subprotocols, MAX_MESSAGE_BYTES);
    // A client that leaves before its handshake is answered never opens, and nobody else would end this connection.
    const abandon = (): void => upstream.terminate();
    raw.socket.once('close', abandon);
    if (raw.socket.destroyed) abandon();
    return { upstream, claim: () => raw.socket.off('close', abandon) };
  }
}

/** The node's side, open and paused; ended with the client's connection until it is claimed. */
interface NodeConnection {
  readonly upstream: WebSocket;
  claim(): void;
}

/** What WebSocketRoutes will choose, so that both connections speak alike; a client that names none speaks the newest. */
function chosen({ subprotocols }: UpgradeRequest, known: readonly string[]): readonly string[] {
  return (subprotocols.length === 0 ? known : known.filter((name) => subprotocols.includes(name))).slice(0, 1);
}

/** The node may have ended its side between the two handshakes. */
function carryOrClose(client: WebSocket, { upstream, claim }: NodeConnection): void {
  claim();
  if (upstream.readyState === upstream.OPEN) carrySocket(client, upstream);
  else client.close(1011, 'the machine ended the connection');
}
