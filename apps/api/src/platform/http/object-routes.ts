import type { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { stringify } from 'yaml';
import { sendStatus } from './status-reply.ts';

/** Adds routes of objects: refusals are Statuses, and bodies come as they are, whatever their type, to be decoded strictly and by kind. */
export function registerObjectRoutes({ httpAdapter }: HttpAdapterHost, add: (scope: FastifyInstance) => void): void {
  void httpAdapter.getInstance<FastifyInstance>().register((scope, _options, done) => {
    scope.setErrorHandler(sendStatus);
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => parsed(null, body));
    add(scope);
    done();
  });
}

/** Answers with JSON or YAML; `cacheControl` as kube-apiserver's unless said otherwise. */
export function sendContent(reply: FastifyReply, code: number, content: unknown, encoding: 'json' | 'yaml', cacheControl = 'no-cache, private'): FastifyReply {
  const body = encoding === 'yaml' ? stringify(content) : JSON.stringify(content);
  return reply.code(code).type(`application/${encoding}`).header('cache-control', cacheControl).send(body);
}
