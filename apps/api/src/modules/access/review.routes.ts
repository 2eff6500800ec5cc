import { FULL_AUTHORITY } from '@corral/access-control';
import { negotiate, objectInvalid, readIncoming, ruleProblems, type RequestAttributes } from '@corral/api-machinery';
import {
  apiPath, apiVersionOf, localSubjectAccessReviews, REVIEWS, selfSubjectAccessReviews, selfSubjectRulesReviews, subjectAccessReviews,
  type AccessQuestion, type KindDefinition, type KubeObject, type PolicyRule, type RulesQuestion, type SubjectQuestion,
} from '@corral/contracts';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Authorizer } from '../../platform/auth/authorization.ts';
import { ADMIN_GROUP, NODES_GROUP, type Actor, type User } from '../../platform/auth/user.ts';
import { readObjectBody } from '../../platform/http/object-body.ts';
import { registerObjectRoutes, sendContent } from '../../platform/http/object-routes.ts';

type Request = FastifyRequest<{ Params: { namespace?: string }; Body: Buffer | undefined }>;

/** May I? May they? What may I do? Who am I? Asked by POST, answered in the status of what was sent. */
@Injectable()
export class ReviewRoutes implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(Authorizer) private readonly authorizer: Authorizer,
  ) {}

  onModuleInit(): void {
    registerObjectRoutes(this.host, (scope) => {
      for (const kind of REVIEWS) {
        const path = kind.scope === 'Namespaced' ? apiPath(kind).replace(kind.plural, `namespaces/:namespace/${kind.plural}`) : apiPath(kind);
        scope.post<{ Params: { namespace?: string }; Body: Buffer | undefined }>(path, (request, reply) => this.#answer(kind, request, reply));
      }
    });
  }

  #answer(kind: KindDefinition, request: Request, reply: FastifyReply): FastifyReply {
    const { encoding } = negotiate(request.headers.accept);
    const { spec, metadata } = readReview(kind, request);
    const answer = { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata, ...(spec === undefined ? {} : { spec }), status: this.#statusOf(kind, spec, request.user) };
    return sendContent(reply, 201, answer, encoding);
  }

  #statusOf(kind: KindDefinition, spec: unknown, user: User): object {
    switch (kind) {
      case selfSubjectAccessReviews:
        return this.#decide(user, spec as AccessQuestion);
      case subjectAccessReviews:
      case localSubjectAccessReviews:
        return this.#decide(subjectOf(spec as SubjectQuestion), spec as SubjectQuestion);
      case selfSubjectRulesReviews:
        return this.#rules(user, (spec as RulesQuestion).namespace ?? '');
      default:
        return { userInfo: userInfoOf(user) };
    }
  }

  #decide(actor: Actor, question: AccessQuestion): object {
    const decision = this.authorizer.decide(actor, attributesOf(question));
    return decision.isAllowed ? { allowed: true, reason: decision.reason } : { allowed: false };
  }

  #rules(user: User, namespace: string): object {
    const rules = [...(user.groups.includes(ADMIN_GROUP) ? FULL_AUTHORITY : []), ...this.authorizer.rulesFor(user, namespace)];
    const unsaid = [
      ...(user.groups.includes(NODES_GROUP) ? ['what nodes may do is not listed'] : []),
      ...(user.credential?.scope ? ['the credential is good for less than this'] : []),
    ];
    return {
      resourceRules: rules.filter(({ nonResourceURLs = [] }) => nonResourceURLs.length === 0),
      nonResourceRules: rules.filter(({ nonResourceURLs = [] }) => nonResourceURLs.length > 0).map(({ verbs, nonResourceURLs }: PolicyRule) => ({ verbs, nonResourceURLs })),
      incomplete: unsaid.length > 0,
      ...(unsaid.length > 0 ? { evaluationError: unsaid.join('; ') } : {}),
    };
  }
}

/** What was asked; refuses (422) a question that cannot be answered. */
function readReview(kind: KindDefinition, { body, headers, params }: Request): { readonly spec: unknown; readonly metadata: object } {
  const incoming = readIncoming(kind, readObjectBody(body, headers['content-type']));
  const { name = '', namespace = params.namespace } = incoming.metadata;
  const object = { metadata: { name, namespace: params.namespace }, ...incoming.body } as KubeObject;
  const problems = [...incoming.problems, ...ruleProblems(kind, object, undefined, incoming)];
  if (params.namespace !== undefined && namespace !== params.namespace) {
    problems.push({ field: 'metadata.namespace', reason: 'FieldValueInvalid', message: 'must match the namespace of the path' });
  }
  if (problems.length > 0) throw objectInvalid(kind, name, problems, object);
  return { spec: object.spec, metadata: { ...(name === '' ? {} : { name }), ...(namespace === undefined ? {} : { namespace }) } };
}

function attributesOf({ resourceAttributes, nonResourceAttributes }: AccessQuestion): RequestAttributes {
  if (resourceAttributes) {
    const { verb = '', group = '', version = '', resource = '', subresource = '', namespace = '', name = '' } = resourceAttributes;
    return { isResource: true, verb, group, version, resource, subresource, namespace, name };
  }
  return { isResource: false, verb: nonResourceAttributes?.verb ?? '', path: nonResourceAttributes?.path ?? '' };
}

const subjectOf = ({ user = '', groups = [], uid, extra }: SubjectQuestion): Actor => ({ name: user, groups, ...(uid === undefined ? {} : { uid }), ...(extra ? { extra } : {}) });

const userInfoOf = ({ name, groups, uid, extra }: User): object => ({ username: name, groups, ...(uid === undefined ? {} : { uid }), ...(extra ? { extra } : {}) });
