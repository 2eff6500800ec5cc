import { Inject } from '@nestjs/common';
import { WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import type { GatewayOptions, GatewayServer, UpgradeRequest } from '../../platform/http/gateway-server.ts';
import { DataPlaneClient } from './data-plane.client.ts';
import { MACHINE_PATH } from './machine.controller.ts';
import { MAX_MESSAGE_BYTES, NodeConnection } from './node-connection.ts';
import { OpenTargets } from './open-targets.ts';

const SUBPROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

/** Interactive exec, in kubectl's own framing. */
@WebSocketGateway<GatewayOptions>({ path: `/${MACHINE_PATH}/exec`, subprotocols: SUBPROTOCOLS, maxMessageBytes: MAX_MESSAGE_BYTES })
export class ExecGateway implements OnGatewayInit<GatewayServer<NodeConnection>>, OnGatewayConnection<WebSocket> {
  constructor(
    @Inject(DataPlaneClient) private readonly dataPlane: DataPlaneClient,
    @Inject(OpenTargets) private readonly targets: OpenTargets,
  ) {}

  afterInit(server: GatewayServer<NodeConnection>): void {
    server.admitWith((request) => NodeConnection.open(this.dataPlane, this.targets, request, { operation: 'exec', phases: ['Running'], subprotocols: chosen(request) }));
  }

  handleConnection(client: WebSocket, _request: UpgradeRequest, node: NodeConnection): void {
    node.carry(client);
  }
}

/** What the GatewayServer will choose, so that both connections speak alike; a client that names none speaks the newest. */
function chosen({ subprotocols }: UpgradeRequest): readonly string[] {
  return (subprotocols.length === 0 ? SUBPROTOCOLS : SUBPROTOCOLS.filter((name) => subprotocols.includes(name))).slice(0, 1);
}
