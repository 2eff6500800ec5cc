import { Problem, type DataPlaneOperation, type VmPhase } from '@corral/contracts';
import type { WebSocket } from 'ws';
import type { UpgradeRequest } from '../../platform/http/gateway-server.ts';
import { carrySocket } from './carry-socket.ts';
import { LastingConnection } from './lasting-connection.ts';
import type { DataPlaneClient, DataPlaneTarget } from './data-plane.client.ts';
import type { OpenTargets } from './open-targets.ts';

/** Longest message carried, either way. */
export const MAX_MESSAGE_BYTES = 1024 * 1024;

/** Source: RFC 6455, 7.4.1 and its registry: the service goes on elsewhere, come again. */
const SERVICE_RESTART = 1012;

interface NodeConnectionWish {
  readonly operation: DataPlaneOperation;
  /** Phases of the machine in which it can be had. */
  readonly phases: readonly VmPhase[];
  readonly subprotocols: readonly string[];
  /** Whether it outlives its machine's sleep: what it shows goes on afterwards. */
  readonly lasting?: boolean;
}

/** The node's side of a client's WebSocket: opened while the client still waits for its handshake, so that every refusal is an HTTP answer. */
export class NodeConnection {
  private constructor(
    private readonly dataPlane: DataPlaneClient,
    private readonly wish: NodeConnectionWish,
    private readonly upstream: WebSocket,
    private readonly target: DataPlaneTarget,
    private readonly targets: OpenTargets,
    private readonly claim: () => void,
  ) {}

  /** Open, and paused until it is carried. Refusals: those of the DataPlaneClient, and the node's own. */
  static async open(dataPlane: DataPlaneClient, targets: OpenTargets, { params, query, raw }: UpgradeRequest, wish: NodeConnectionWish): Promise<NodeConnection> {
    const { operation, phases, subprotocols } = wish;
    const reach = async (): Promise<readonly [DataPlaneTarget, WebSocket]> => {
      const target = await dataPlane.find(params['namespace'] ?? '', params['name'] ?? '', phases);
      try {
        return [target, await dataPlane.connect(target, operation, query, subprotocols, MAX_MESSAGE_BYTES)];
      } catch (error) {
        // It fell asleep between the two.
        if (error instanceof Problem && error.code === 'vm.not-running' && (await dataPlane.isDormant(target))) return reach();
        throw error;
      }
    };
    const [target, upstream] = await reach();
    // A client that leaves before its handshake is answered never opens, and nobody else would end this connection.
    const abandon = (): void => upstream.terminate();
    raw.socket.once('close', abandon);
    if (raw.socket.destroyed) abandon();
    return new NodeConnection(dataPlane, wish, upstream, target, targets, () => void raw.socket.off('close', abandon));
  }

  /** Carries everything both ways until either side ends. */
  carry(client: WebSocket): void {
    this.claim();
    // The node may have ended its side between the two handshakes.
    if (this.upstream.readyState !== this.upstream.OPEN) return client.close(1011, 'the machine ended the connection');
    if (this.wish.lasting) {
      const { operation, phases } = this.wish;
      return new LastingConnection(client, this.dataPlane, this.targets, { operation, phases, maxMessageBytes: MAX_MESSAGE_BYTES }).start(this.target, this.upstream);
    }
    carrySocket(client, this.upstream);
    const release = this.targets.hold(this.target, () => {
      client.close(SERVICE_RESTART, 'the machine left its node or was started anew');
      this.upstream.terminate();
    });
    client.once('close', release);
  }
}
