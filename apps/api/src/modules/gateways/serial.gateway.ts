import { Inject } from '@nestjs/common';
import { WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import type { GatewayOptions, GatewayServer, UpgradeRequest } from '../../platform/http/gateway-server.ts';
import { DataPlaneClient, SHOWN } from './data-plane.client.ts';
import { MACHINE_PATH } from './machine.controller.ts';
import { MAX_MESSAGE_BYTES, NodeConnection } from './node-connection.ts';
import { OpenTargets } from './open-targets.ts';

/** The serial console, as bytes. */
@WebSocketGateway<GatewayOptions>({ path: `/${MACHINE_PATH}/serial`, maxMessageBytes: MAX_MESSAGE_BYTES })
export class SerialGateway implements OnGatewayInit<GatewayServer<NodeConnection>>, OnGatewayConnection<WebSocket> {
  constructor(
    @Inject(DataPlaneClient) private readonly dataPlane: DataPlaneClient,
    @Inject(OpenTargets) private readonly targets: OpenTargets,
  ) {}

  afterInit(server: GatewayServer<NodeConnection>): void {
    server.admitWith((request) => NodeConnection.open(this.dataPlane, this.targets, request, { operation: 'serial', phases: SHOWN, subprotocols: [], lasting: true }));
  }

  handleConnection(client: WebSocket, _request: UpgradeRequest, node: NodeConnection): void {
    node.carry(client);
  }
}
