/** Who is asking. Source: k8s.io/apiserver/pkg/authentication/user, Info. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
  /** How they proved it: a cookie needs protection from cross-site requests, a bearer token does not. */
  readonly via: 'Token' | 'Session' | 'Ticket' | 'Nothing';
}

export const ANONYMOUS: User = { name: 'system:anonymous', groups: ['system:unauthenticated'], via: 'Nothing' };
export const ADMIN_GROUP = 'system:masters';
export const NODES_GROUP = 'system:nodes';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every request before any handler runs; authorization has passed when a handler runs. */
    user: User;
  }
}
