import { Inject } from '@nestjs/common';
import type { RouteDescription } from '@corral/api-machinery';
import { WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import type { GatewayOptions, GatewayServer, UpgradeRequest } from '../../platform/http/gateway-server.ts';
import { DataPlaneClient } from './data-plane.client.ts';
import { MACHINE_PATH } from './machine.controller.ts';
import { MAX_MESSAGE_BYTES, NodeConnection } from './node-connection.ts';
import { OpenTargets } from './open-targets.ts';

const SUBPROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

const EXEC: RouteDescription = {
  summary: 'A WebSocket: run a command in the guest with its streams, as Kubernetes does it (v5.channel.k8s.io).',
  query: { command: 'The program, and its arguments by repetition.', stdin: 'true: it is sent input.', stdout: 'true: its output comes back.', stderr: 'true: its errors come back.', tty: 'true: on a terminal.', cwd: 'Where it runs.', env: 'NAME=VALUE, repeated.' },
};

/** Interactive exec, in kubectl's own framing. */
@WebSocketGateway<GatewayOptions>({ path: `/${MACHINE_PATH}/exec`, description: EXEC, subprotocols: SUBPROTOCOLS, maxMessageBytes: MAX_MESSAGE_BYTES })
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
