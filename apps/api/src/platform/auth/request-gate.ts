import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { requestAttributes, type RequestAttributes } from '@corral/api-machinery';
import { Problem, toStatus } from '@corral/contracts';
import type { WebSocket } from 'ws';
import { AuditLog } from '../audit/audit-log.ts';
import type { AuditedRequest } from '../audit/audit-record.ts';
import { ClientAddresses } from '../audit/client-address.ts';
import { parseTarget } from '../http/request-target.ts';
import { Traffic } from '../traffic/traffic.ts';
import { Authorizer, socketAttributes } from './authorization.ts';
import type { Credential } from './credential.ts';
import { Credentials } from './credentials.ts';
import { impersonationOf } from './impersonation.ts';
import { OpenConnections } from './open-connections.ts';
import { sessionOf } from './session-cookies.ts';
import { Tickets } from './tickets.ts';
import type { AdmittedUpgrade, UpgradeGate } from './upgrade-gate.ts';
import { ANONYMOUS, AUTHENTICATED_GROUP, type Identity, type User } from './user.ts';

const BEARER_SUBPROTOCOL = 'base64url.bearer.authorization.k8s.io.';
/** RFC 6455, 7.4.1: policy violation. */
const NOT_ALLOWED = 1008;
/** Registered with IANA beside RFC 6455. */
const TRY_AGAIN_LATER = 1013;
const FAREWELL_MS = 500;
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** The one door: every HTTP request and every WebSocket handshake is authenticated and authorized here, before any handler. */
@Injectable()
export class RequestGate implements UpgradeGate {
  constructor(
    @Inject(Credentials) private readonly credentials: Credentials,
    @Inject(Tickets) private readonly tickets: Tickets,
    @Inject(OpenConnections) private readonly connections: OpenConnections,
    @Inject(Authorizer) private readonly authorizer: Authorizer,
    @Inject(AuditLog) private readonly audit: AuditLog,
    @Inject(ClientAddresses) private readonly addresses: ClientAddresses,
    @Inject(Traffic) private readonly traffic: Traffic,
  ) {}

  /** What a request asks for; refuses (400) a target that could be read in two ways. */
  attributesOf(method: string, url: string): RequestAttributes {
    const { pathname, searchParams } = parseTarget(url);
    return requestAttributes(method, pathname, (name) => searchParams.get(name) ?? undefined);
  }

  /** Who sends this HTTP request; refuses with 401 what is shown and does not hold, with 403 a write another site may have sent. */
  async identify(method: string, headers: IncomingHttpHeaders): Promise<User> {
    const user = await this.#authenticate(bearerOf(headers.authorization), headers);
    if (user.via === 'Session' && !SAFE_METHODS.includes(method) && !isFromConsole(headers)) {
      throw new Problem('request.forbidden', 'a write with a session cookie needs the header X-Corral-Console: 1, which other sites cannot send');
    }
    return user;
  }

  /** Whom the caller acts as: themselves, or who their headers name; refuses with 403 when they may not. */
  impersonate(caller: User, request: IncomingMessage): User {
    const impersonation = impersonationOf(request);
    if (!impersonation) return caller;
    for (const attributes of impersonation.required) this.authorizer.require(caller, attributes);
    const { via, credential, impersonatedBy: _none, ...identity } = caller;
    return { ...impersonation.identity, via, ...(credential ? { credential } : {}), impersonatedBy: identity };
  }

  /** Refuses with 401 or 403 what they may not do. */
  authorize(user: User, attributes: RequestAttributes): void {
    this.authorizer.require(user, attributes);
  }

  async admit(request: IncomingMessage, url: URL): Promise<AdmittedUpgrade> {
    const attributes = socketAttributes(requestAttributes('GET', url.pathname, (name) => url.searchParams.get(name) ?? undefined));
    const seen: AuditedRequest = {
      at: new Date(),
      requestId: randomUUID(),
      method: 'GET',
      path: url.pathname,
      user: ANONYMOUS,
      attributes,
      address: this.addresses.of(request.socket.remoteAddress, request.headers['x-forwarded-for']),
      userAgent: request.headers['user-agent'],
      decision: 'Denied',
      code: 101,
      isOpen: attributes.isResource,
    };
    let user = ANONYMOUS;
    try {
      const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '');
      const carried = offered.find((name) => name.startsWith(BEARER_SUBPROTOCOL));
      user = await this.#identifyUpgrade(request, url, carried);
      await this.traffic.pace(user, attributes);
      this.authorize(user, attributes);
      this.connections.requireRoom(user);
      const admitted = user;
      return {
        user: admitted,
        subprotocols: offered.filter((name) => name !== carried),
        opened: (client) => {
          try {
            client.once('close', this.connections.add(admitted, attributes, () => dismiss(client)));
          } catch {
            // Others that were let in at the same time took what room there was.
            client.close(TRY_AGAIN_LATER, 'too many connections are open');
          }
        },
        answered: (code, reason) => this.audit.note({ ...seen, user: admitted, decision: 'Allowed', code, reason }),
      };
    } catch (error) {
      const { code, reason } = toStatus(error);
      this.audit.note({ ...seen, user, code, reason });
      throw error;
    }
  }

  async #identifyUpgrade(request: IncomingMessage, url: URL, carried: string | undefined): Promise<User> {
    const bearer = bearerOf(request.headers.authorization) ?? (carried && Buffer.from(carried.slice(BEARER_SUBPROTOCOL.length), 'base64url').toString());
    const ticket = url.searchParams.get('ticket');
    const caller = ticket ? await this.#redeem(ticket, url.pathname) : await this.#authenticate(bearer, request.headers);
    if (caller.via === 'Session' && !isSameOrigin(request.headers)) {
      throw new Problem('request.forbidden', 'a WebSocket with a session cookie must come from the console itself');
    }
    return this.impersonate(caller, request);
  }

  async #authenticate(bearer: string | undefined, headers: IncomingHttpHeaders): Promise<User> {
    if (bearer !== undefined) {
      const found = await this.credentials.authenticate(bearer);
      if (!found) throw unauthenticated();
      return identified(found.identity, found.credential, 'Token');
    }
    const session = sessionOf(headers);
    // A session that has ended is no credential: sign-in must still be reachable with its cookie around.
    const found = session === undefined ? undefined : await this.credentials.session(session);
    return found ? identified(found.identity, found.credential, 'Session', found.parent) : ANONYMOUS;
  }

  async #redeem(ticket: string, path: string): Promise<User> {
    const found = await this.tickets.redeem(ticket, (purpose) => {
      const scope = /^WebSocket:(.*)$/.exec(purpose)?.[1];
      return scope !== undefined && (path === scope || path.startsWith(scope.endsWith('/') ? scope : `${scope}/`));
    });
    if (!found?.credential || !(await this.credentials.isValid(found.credential))) throw unauthenticated();
    return identified(found.identity, found.credential, 'Ticket');
  }
}

const unauthenticated = (): Problem => new Problem('request.unauthenticated', 'Unauthorized');

/** `gotWith`: the credential that this one was got with. */
const identified = (identity: Identity, credential: Credential, via: User['via'], gotWith: Credential = credential): User => ({
  ...identity,
  groups: [...new Set([...identity.groups, AUTHENTICATED_GROUP])],
  credential,
  via,
  ...(gotWith.impersonatedBy ? { impersonatedBy: gotWith.impersonatedBy } : {}),
});

function dismiss(client: WebSocket): void {
  client.close(NOT_ALLOWED, 'the credential or the right this was opened with has ended');
  // Until it answers, a client could go on talking.
  const cutOff = setTimeout(() => client.terminate(), FAREWELL_MS);
  client.once('close', () => clearTimeout(cutOff));
}

function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  const match = /^Bearer\s+(\S+)\s*$/i.exec(authorization);
  if (!match) throw unauthenticated();
  return match[1];
}

function isFromConsole(headers: IncomingHttpHeaders): boolean {
  return headers['x-corral-console'] === '1' || isSameOrigin(headers);
}

/** Browsers set Origin on every write and handshake, and no script can forge it. */
function isSameOrigin({ origin, host }: IncomingHttpHeaders): boolean {
  if (origin === undefined || host === undefined) return false;
  return URL.canParse(origin) && new URL(origin).host === host;
}
