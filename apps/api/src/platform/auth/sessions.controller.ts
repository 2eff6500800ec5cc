import { Controller, Delete, Get, HttpCode, Body, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { malformed } from '@corral/api-machinery';
import { Problem } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Describe } from '../http/describe.ts';
import { queryValue } from '../http/http-server.ts';
import { Authorizer } from './authorization.ts';
import { AccessTokens } from './access-tokens.ts';
import { credentialId } from './credential.ts';
import { Credentials } from './credentials.ts';
import { OpenConnections } from './open-connections.ts';
import { endedCookie, SessionCookies, sessionOf } from './session-cookies.ts';
import { SIGN_IN_LIFETIME_MS, Tickets, WEBSOCKET_LIFETIME_MS } from './tickets.ts';
import type { Authenticated, User } from './user.ts';

const SignIn = z.union([z.strictObject({ token: z.string().min(1) }), z.strictObject({ code: z.string().min(1) })]);

/** How people get into the console: a token or a one-time link becomes a cookie that no script can read. */
@Controller()
export class SessionsController {
  constructor(
    @Inject(Authorizer) private readonly authorizer: Authorizer,
    @Inject(AccessTokens) private readonly tokens: AccessTokens,
    @Inject(SessionCookies) private readonly cookies: SessionCookies,
    @Inject(Tickets) private readonly tickets: Tickets,
    @Inject(Credentials) private readonly credentials: Credentials,
    @Inject(OpenConnections) private readonly connections: OpenConnections,
  ) {}

  @Post('auth/sessions')
  @Describe({ summary: 'Sign in with a token or the code of a link: sets a cookie.', body: SignIn, code: 201 })
  async signIn(@Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const sent = SignIn.safeParse(body);
    if (!sent.success) throw malformed('the body must be {"token": "…"} or {"code": "…"}');
    const found = 'token' in sent.data ? await this.credentials.authenticate(sent.data.token) : await this.#redeem(sent.data.code);
    if (!found) throw new Problem('request.unauthenticated', 'the token or code is not valid, or no longer');
    const { name, groups } = found.identity;
    const expiresAt = await this.cookies.begin(found.identity, found.credential, request, reply);
    return { user: { name, groups }, expiresAt };
  }

  @Get('sign-in')
  @Describe({ summary: 'Follow a link to sign in.', query: { code: 'The code of the link.' }, code: 303 })
  async followLink(@Req() request: FastifyRequest, @Res() reply: FastifyReply) {
    const code = queryValue(request.query, 'code');
    const found = code === undefined ? undefined : await this.#redeem(code);
    if (!found) return reply.redirect('/?sign-in=expired', 303);
    await this.cookies.begin(found.identity, found.credential, request, reply);
    return reply.header('referrer-policy', 'no-referrer').redirect('/', 303);
  }

  @Post('auth/sign-in-links')
  @Describe({ summary: 'Make a link that signs in, once.', code: 201 })
  async makeLink(@Req() request: FastifyRequest) {
    const { code, expiresAt } = await this.tickets.issue('SignIn', withoutAuthenticated(request.user), SIGN_IN_LIFETIME_MS);
    return { url: `${request.protocol}://${request.host}/sign-in?code=${code}`, expiresAt };
  }

  @Get('auth/session')
  @Describe({ summary: 'Who one is, and the namespaces one has rights in ("*": may list them all).' })
  current(@Req() { user }: FastifyRequest) {
    const expiresAt = user.via === 'Session' ? user.credential?.expiresAt : undefined;
    return { user: { name: user.name, groups: user.groups }, namespaces: this.authorizer.namespacesOf(user), ...(expiresAt === undefined ? {} : { expiresAt }) };
  }

  @Delete('auth/sessions')
  @Describe({ summary: 'Sign out.', code: 204 })
  @HttpCode(204)
  async signOut(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    const secret = sessionOf(request.headers);
    if (secret !== undefined) {
      const id = await this.tokens.endSession(secret);
      if (id !== undefined) this.connections.endAll(credentialId({ ref: { type: 'Session', id } }));
    }
    void reply.header('set-cookie', endedCookie(request));
  }

  @Post('auth/tickets')
  @Describe({ summary: 'A ticket that opens one WebSocket, once.', code: 201 })
  makeTicket(@Req() request: FastifyRequest) {
    return this.#ticket(request.user, '/');
  }

  /** A ticket that opens the sockets of one machine and nothing else. */
  @Post('apis/corral.dev/v1/namespaces/:namespace/virtualmachines/:name/tickets')
  @Describe({ summary: 'A ticket that opens one WebSocket of this machine, once.', code: 201 })
  makeMachineTicket(@Req() request: FastifyRequest, @Param('namespace') namespace: string, @Param('name') name: string) {
    return this.#ticket(request.user, `/apis/corral.dev/v1/namespaces/${encodeURIComponent(namespace)}/virtualmachines/${encodeURIComponent(name)}`);
  }

  async #ticket(user: User, path: string) {
    const { code, expiresAt } = await this.tickets.issue(`WebSocket:${path}`, withoutAuthenticated(user), WEBSOCKET_LIFETIME_MS);
    return { ticket: code, expiresAt };
  }

  /** Of a sign-in link: the session hangs on what the link was made with. */
  async #redeem(code: string): Promise<Authenticated | undefined> {
    const found = await this.tickets.redeem(code, isSignIn);
    return found?.credential && (await this.credentials.isValid(found.credential)) ? { identity: found.identity, credential: found.credential } : undefined;
  }
}

const isSignIn = (purpose: string): boolean => purpose === 'SignIn';

/** What is stored is what was granted; `system:authenticated` is added again at every request. */
const withoutAuthenticated = (user: User): User => ({ ...user, groups: user.groups.filter((group) => group !== 'system:authenticated') });
