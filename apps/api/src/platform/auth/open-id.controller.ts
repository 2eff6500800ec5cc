import { fastifyCookie } from '@fastify/cookie';
import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { Problem } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Describe } from '../http/describe.ts';
import { queryValue } from '../http/http-server.ts';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { OpenIdProvider } from './open-id-provider.ts';
import { openIdIdentity } from './open-id-claims.ts';
import { SessionCookies } from './session-cookies.ts';

const COOKIE = 'corral_sign_in';
const PATH = '/auth/oidc';
const LIFETIME_SECONDS = 600;
const Pending = z.object({ state: z.string(), nonce: z.string(), verifier: z.string(), returnTo: z.string() });

/** Signing in to the console with the OpenID provider: authorization code with PKCE, state and nonce. */
@Controller()
export class OpenIdController {
  constructor(
    @Inject(API_CONFIG) private readonly config: ApiConfig,
    @Inject(OpenIdProvider) private readonly provider: OpenIdProvider,
    @Inject(SessionCookies) private readonly sessions: SessionCookies,
  ) {}

  /** What the sign-in page offers. */
  @Get('auth/methods')
  @Describe({ summary: 'The ways to sign in.' })
  methods() {
    return { token: true, openId: this.config.openId === undefined ? undefined : { issuer: this.config.openId.issuer } };
  }

  @Get('auth/oidc/start')
  @Describe({ summary: 'Begin to sign in with the OpenID Connect provider.', query: { return: 'The page of the console to come back to.' }, code: 303 })
  async start(@Req() request: FastifyRequest, @Res() reply: FastifyReply) {
    const wish = queryValue(request.query, 'return');
    if (!this.provider.isConfigured) throw new Problem('route.not-found', 'nobody signs in by OpenID here');
    const begun = await orUnavailable(this.provider.begin(this.#callbackUrl(request)));
    if (begun === UNAVAILABLE) return reply.redirect('/?sign-in=unavailable', 303);
    const pending = Buffer.from(JSON.stringify({ ...begun.checks, returnTo: localPath(wish) })).toString('base64url');
    return reply.header('set-cookie', cookie(request, pending, LIFETIME_SECONDS)).header('cache-control', 'no-store').redirect(begun.url.href, 303);
  }

  @Get('auth/oidc/callback')
  @Describe({ summary: 'Where the OpenID Connect provider sends people back to.', query: { code: 'What the provider gave.', state: 'What was sent to it.' }, code: 303 })
  async finish(@Req() request: FastifyRequest, @Res() reply: FastifyReply) {
    void reply.header('cache-control', 'no-store').header('referrer-policy', 'no-referrer');
    const { openId } = this.config;
    const pending = readPending(request.headers.cookie);
    // Without the cookie it was not this browser that began: somebody may want it to be signed in as them.
    if (!openId || !pending) return reply.redirect('/?sign-in=refused', 303);
    void reply.header('set-cookie', cookie(request, '', 0));
    const url = new URL(this.#callbackUrl(request));
    url.search = new URL(request.url, 'http://localhost').search;
    const claims = await orUnavailable(this.provider.finish(url, pending));
    if (claims === UNAVAILABLE) return reply.redirect('/?sign-in=unavailable', 303);
    const identity = claims && openIdIdentity(openId, claims);
    if (!identity) return reply.redirect('/?sign-in=refused', 303);
    await this.sessions.begin(identity, undefined, request, reply);
    return reply.redirect(pending.returnTo, 303);
  }

  #callbackUrl(request: FastifyRequest): string {
    const base = this.config.publicUrl?.replace(/\/$/, '') ?? `${request.protocol}://${request.host}`;
    return `${base}${PATH}/callback`;
  }
}

const UNAVAILABLE = Symbol('the provider cannot be reached');

function orUnavailable<T>(answer: Promise<T>): Promise<T | typeof UNAVAILABLE> {
  return answer.catch((error: unknown) => {
    if (error instanceof Problem && error.code === 'dependency.unavailable') return UNAVAILABLE;
    throw error;
  });
}

/** A path of the console itself, however it is written: a browser reads `//x` and `/\x` as another host. */
function localPath(wish: string | undefined): string {
  return wish !== undefined && /^\/(?![/\\])[^\x00-\x1f\\]*$/.test(wish) && wish.length <= 1024 ? wish : '/';
}

function readPending(header: string | undefined): z.output<typeof Pending> | undefined {
  const value = header === undefined ? undefined : fastifyCookie.parse(header)[COOKIE];
  try {
    return value ? Pending.parse(JSON.parse(Buffer.from(value, 'base64url').toString())) : undefined;
  } catch {
    return undefined;
  }
}

/** Lax, because the provider's redirect comes from another site. */
const cookie = (request: FastifyRequest, value: string, maxAgeSeconds: number): string =>
  fastifyCookie.serialize(COOKIE, value, { httpOnly: true, sameSite: 'lax', secure: request.protocol === 'https', path: PATH, maxAge: maxAgeSeconds });
