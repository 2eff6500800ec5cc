import { Controller, Delete, Get, HttpCode, Body, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { fastifyCookie } from '@fastify/cookie';
import { malformed } from '@corral/api-machinery';
import { Problem } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AccessTokens, SESSION_LIFETIME_MS } from './access-tokens.ts';
import { SESSION_COOKIE, sessionOf } from './request-gate.ts';
import { SessionSockets } from './session-sockets.ts';
import { SIGN_IN_LIFETIME_MS, Tickets, WEBSOCKET_LIFETIME_MS } from './tickets.ts';
import type { User } from './user.ts';

const Credentials = z.union([z.strictObject({ token: z.string().min(1) }), z.strictObject({ code: z.string().min(1) })]);

/** How people get into the console: a token or a one-time link becomes a cookie that no script can read. */
@Controller()
export class SessionsController {
  constructor(
    @Inject(AccessTokens) private readonly tokens: AccessTokens,
    @Inject(Tickets) private readonly tickets: Tickets,
    @Inject(SessionSockets) private readonly sockets: SessionSockets,
  ) {}

  @Post('auth/sessions')
  async signIn(@Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const credentials = Credentials.safeParse(body);
    if (!credentials.success) throw malformed('the body must be {"token": "…"} or {"code": "…"}');
    const user =
      'token' in credentials.data ? await this.tokens.find(credentials.data.token, 'Token') : await this.tickets.redeem(credentials.data.code, isSignIn);
    if (!user) throw new Problem('request.unauthenticated', 'the token or code is not valid, or no longer');
    const expiresAt = await this.#begin(user, request, reply);
    return { user: { name: user.name, groups: user.groups }, expiresAt };
  }

  @Get('sign-in')
  async followLink(@Query('code') code: string | undefined, @Req() request: FastifyRequest, @Res() reply: FastifyReply) {
    const user = code === undefined ? undefined : await this.tickets.redeem(code, isSignIn);
    if (!user) return reply.redirect('/?sign-in=expired', 303);
    await this.#begin(user, request, reply);
    return reply.header('referrer-policy', 'no-referrer').redirect('/', 303);
  }

  @Post('auth/sign-in-links')
  async makeLink(@Req() request: FastifyRequest) {
    const { code, expiresAt } = await this.tickets.issue('SignIn', withoutAuthenticated(request.user), SIGN_IN_LIFETIME_MS);
    return { url: `${request.protocol}://${request.host}/sign-in?code=${code}`, expiresAt };
  }

  @Get('auth/session')
  async current(@Req() request: FastifyRequest) {
    const secret = sessionOf(request.headers);
    const session = request.user.via === 'Session' && secret !== undefined ? await this.tokens.find(secret, 'Session') : undefined;
    return { user: { name: request.user.name, groups: request.user.groups }, ...(session?.expiresAt ? { expiresAt: session.expiresAt } : {}) };
  }

  @Delete('auth/sessions')
  @HttpCode(204)
  async signOut(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    const secret = sessionOf(request.headers);
    if (secret !== undefined) {
      await this.tokens.endSession(secret);
      this.sockets.end(secret);
    }
    void reply.header('set-cookie', cookie(request, '', 0));
  }

  @Post('auth/tickets')
  makeTicket(@Req() request: FastifyRequest) {
    return this.#ticket(request.user, '/');
  }

  /** A ticket that opens the sockets of one machine and nothing else. */
  @Post('apis/corral.dev/v1/namespaces/:namespace/virtualmachines/:name/tickets')
  makeMachineTicket(@Req() request: FastifyRequest, @Param('namespace') namespace: string, @Param('name') name: string) {
    return this.#ticket(request.user, `/apis/corral.dev/v1/namespaces/${encodeURIComponent(namespace)}/virtualmachines/${encodeURIComponent(name)}`);
  }

  async #ticket(user: User, path: string) {
    const { code, expiresAt } = await this.tickets.issue(`WebSocket:${path}`, withoutAuthenticated(user), WEBSOCKET_LIFETIME_MS);
    return { ticket: code, expiresAt };
  }

  async #begin(user: Pick<User, 'name' | 'groups'>, request: FastifyRequest, reply: FastifyReply): Promise<Date> {
    const { secret, expiresAt } = await this.tokens.createSession(user);
    void reply.header('set-cookie', cookie(request, secret, SESSION_LIFETIME_MS / 1000)).header('cache-control', 'no-store');
    return expiresAt;
  }
}

const isSignIn = (purpose: string): boolean => purpose === 'SignIn';

/** What is stored is what was granted; `system:authenticated` is added again at every request. */
const withoutAuthenticated = ({ name, groups }: User) => ({ name, groups: groups.filter((group) => group !== 'system:authenticated') });

function cookie(request: FastifyRequest, value: string, maxAgeSeconds: number): string {
  return fastifyCookie.serialize(SESSION_COOKIE, value, {
    httpOnly: true,
    sameSite: 'strict',
    secure: request.protocol === 'https',
    path: '/',
    maxAge: maxAgeSeconds,
  });
}
