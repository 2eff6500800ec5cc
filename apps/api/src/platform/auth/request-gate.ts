import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { fastifyCookie } from '@fastify/cookie';
import { Inject, Injectable } from '@nestjs/common';
import { requestAttributes } from '@corral/api-machinery';
import { Problem } from '@corral/contracts';
import { parseTarget } from '../http/request-target.ts';
import { AccessTokens } from './access-tokens.ts';
import { requireAllowed } from './authorization.ts';
import { SessionSockets } from './session-sockets.ts';
import { Tickets } from './tickets.ts';
import type { AdmittedUpgrade, UpgradeGate } from './upgrade-gate.ts';
import { ANONYMOUS, type User } from './user.ts';

export const SESSION_COOKIE = 'corral_session';
const BEARER_SUBPROTOCOL = 'base64url.bearer.authorization.k8s.io.';
const AUTHENTICATED_GROUP = 'system:authenticated';
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** The one door: every HTTP request and every WebSocket handshake is authenticated and authorized here, before any handler. */
@Injectable()
export class RequestGate implements UpgradeGate {
  constructor(
    @Inject(AccessTokens) private readonly tokens: AccessTokens,
    @Inject(Tickets) private readonly tickets: Tickets,
    @Inject(SessionSockets) private readonly sockets: SessionSockets,
  ) {}

  /** Who sends this HTTP request; refuses with 401 or 403 when they may not. */
  async admitRequest(method: string, url: string, headers: IncomingHttpHeaders): Promise<User> {
    const { pathname, searchParams } = parseTarget(url);
    const bearer = bearerOf(headers.authorization);
    const user = await this.#authenticate(bearer, headers);
    if (user.via === 'Session' && !SAFE_METHODS.includes(method) && !isFromConsole(headers)) {
      throw new Problem('request.forbidden', 'a write with a session cookie needs the header X-Corral-Console: 1, which other sites cannot send');
    }
    requireAllowed(user, requestAttributes(method, pathname, (name) => searchParams.get(name) ?? undefined));
    return user;
  }

  async admit(request: IncomingMessage, url: URL): Promise<AdmittedUpgrade> {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '');
    const carried = offered.find((name) => name.startsWith(BEARER_SUBPROTOCOL));
    const bearer = bearerOf(request.headers.authorization) ?? (carried && Buffer.from(carried.slice(BEARER_SUBPROTOCOL.length), 'base64url').toString());
    const ticket = url.searchParams.get('ticket');
    const user = ticket ? await this.#redeem(ticket, url.pathname) : await this.#authenticate(bearer, request.headers);
    if (user.via === 'Session' && !isSameOrigin(request.headers)) {
      throw new Problem('request.forbidden', 'a WebSocket with a session cookie must come from the console itself');
    }
    requireAllowed(user, requestAttributes('GET', url.pathname, (name) => url.searchParams.get(name) ?? undefined));
    const session = user.via === 'Session' ? sessionOf(request.headers) : undefined;
    return {
      user,
      subprotocols: offered.filter((name) => name !== carried),
      opened: (client) => {
        if (session !== undefined) this.sockets.add(session, client);
      },
    };
  }

  async #authenticate(bearer: string | undefined, headers: IncomingHttpHeaders): Promise<User> {
    if (bearer !== undefined) {
      const found = await this.tokens.find(bearer, 'Token');
      if (!found) throw new Problem('request.unauthenticated', 'Unauthorized');
      return identified(found, 'Token');
    }
    const session = sessionOf(headers);
    // A session that has ended is no credential: sign-in must still be reachable with its cookie around.
    const found = session === undefined ? undefined : await this.tokens.find(session, 'Session');
    return found ? identified(found, 'Session') : ANONYMOUS;
  }

  async #redeem(ticket: string, path: string): Promise<User> {
    const found = await this.tickets.redeem(ticket, (purpose) => {
      const scope = /^WebSocket:(.*)$/.exec(purpose)?.[1];
      return scope !== undefined && (path === scope || path.startsWith(scope.endsWith('/') ? scope : `${scope}/`));
    });
    if (!found) throw new Problem('request.unauthenticated', 'Unauthorized');
    return identified(found, 'Ticket');
  }
}

const identified = ({ name, groups }: Pick<User, 'name' | 'groups'>, via: User['via']): User => ({ name, groups: [...groups, AUTHENTICATED_GROUP], via });

function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  const match = /^Bearer\s+(\S+)\s*$/i.exec(authorization);
  if (!match) throw new Problem('request.unauthenticated', 'Unauthorized');
  return match[1];
}

export function sessionOf(headers: IncomingHttpHeaders): string | undefined {
  return headers.cookie === undefined ? undefined : fastifyCookie.parse(headers.cookie)[SESSION_COOKIE];
}

function isFromConsole(headers: IncomingHttpHeaders): boolean {
  return headers['x-corral-console'] === '1' || isSameOrigin(headers);
}

/** Browsers set Origin on every write and handshake, and no script can forge it. */
function isSameOrigin({ origin, host }: IncomingHttpHeaders): boolean {
  if (origin === undefined || host === undefined) return false;
  return URL.canParse(origin) && new URL(origin).host === host;
}
