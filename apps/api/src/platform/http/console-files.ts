import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import fastifyStatic from '@fastify/static';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { routeNotFound } from '@corral/api-machinery';
import type { FastifyInstance } from 'fastify';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';

/** The API's own paths: unknown ones below are a 404, never the console. */
const API_PATHS = /^\/(api|apis|auth|openapi|metrics|live|livez|readyz|healthz|version|admin)(\/|$)/;

const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  // The terminal and the editor set styles from script.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** Serves the built console at `/`; paths that are no file are its pages. */
@Injectable()
export class ConsoleFiles implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(API_CONFIG) private readonly config: ApiConfig,
  ) {}

  async onModuleInit(): Promise<void> {
    if (this.config.consoleDir === undefined) return;
    const root = resolve(this.config.consoleDir);
    const fastify = this.host.httpAdapter.getInstance<FastifyInstance>();
    await fastify.register(fastifyStatic, { root, serve: false });

    fastify.get('/*', (request, reply) => {
      const path = decodeURIComponent(request.url.split('?', 1)[0] ?? '/');
      if (API_PATHS.test(path)) throw routeNotFound();
      const isFile = path !== '/' && !path.includes('\0') && existsSync(resolve(root, `.${path}`)) && /\.[A-Za-z0-9]+$/.test(path);
      // A missing asset must not be answered with a page: an old tab would try to run it.
      if (!isFile && path.startsWith('/assets/')) throw routeNotFound();
      void reply.header('content-security-policy', CONTENT_SECURITY_POLICY).header('referrer-policy', 'same-origin').header('cross-origin-opener-policy', 'same-origin');
      const isHashed = isFile && path.startsWith('/assets/');
      void reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
      return reply.sendFile(isFile ? path.slice(1) : 'index.html', { cacheControl: false });
    });
  }
}
