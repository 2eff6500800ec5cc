import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import type { User } from './user.ts';

/** Injects the UpgradeGate. PathWebSocketAdapter calls it for every handshake; gateways need not. */
export const UPGRADE_GATE = Symbol('UpgradeGate');

export interface AdmittedUpgrade {
  readonly user: User;
  readonly subprotocols: readonly string[];
  /** To be told of the socket: it is closed when what it was admitted by has ended. */
  opened(client: WebSocket): void;
  /** To be told what became of it: 101, or the status it was refused with after all. */
  answered?(code: number, reason?: string): void;
}

export interface UpgradeGate {
  /**
   * Authenticates a WebSocket handshake (bearer header, subprotocol `base64url.bearer.authorization.k8s.io.<token>`,
   * session cookie of the same origin, `?ticket=`) and authorizes it. Refusals are Problems: 401 and 403.
   */
  admit(request: IncomingMessage, url: URL): Promise<AdmittedUpgrade>;
}
