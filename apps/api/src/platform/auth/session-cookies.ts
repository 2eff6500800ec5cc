import type { IncomingHttpHeaders } from 'node:http';
import { fastifyCookie } from '@fastify/cookie';
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AccessTokens } from './access-tokens.ts';
import type { Credential } from './credential.ts';
import type { Identity } from './user.ts';

const SESSION_COOKIE = 'corral_session';

/** The secret of the session a request comes with. */
export function sessionOf(headers: IncomingHttpHeaders): string | undefined {
  return headers.cookie === undefined ? undefined : fastifyCookie.parse(headers.cookie)[SESSION_COOKIE];
}

/** A cookie that takes the session's away. */
export const endedCookie = (request: FastifyRequest): string => cookie(request, '', 0);

/** Sessions as browsers hold them: in a cookie no script can read and no other site can use. */
@Injectable()
export class SessionCookies {
  constructor(@Inject(AccessTokens) private readonly tokens: AccessTokens) {}

  /** Begins a session that ends with `parent` at the latest. */
  async begin(identity: Identity, parent: Credential | undefined, request: FastifyRequest, reply: FastifyReply): Promise<Date> {
    const { secret, expiresAt } = await this.tokens.createSession(identity, parent);
    // From here on it is them who signed in.
    request.user = { ...identity, ...(parent ? { credential: parent } : {}), via: 'Session' };
    const maxAgeSeconds = Math.max(1, Math.ceil((expiresAt.getTime() - Date.now()) / 1000));
    void reply.header('set-cookie', cookie(request, secret, maxAgeSeconds)).header('cache-control', 'no-store');
    return expiresAt;
  }
}

const cookie = (request: FastifyRequest, value: string, maxAge: number): string =>
  fastifyCookie.serialize(SESSION_COOKIE, value, { httpOnly: true, sameSite: 'strict', secure: request.protocol === 'https', path: '/', maxAge });
