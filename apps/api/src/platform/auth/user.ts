import type { RequestAttributes } from '@corral/api-machinery';
import { serviceAccountOf } from '@corral/contracts';
import type { Credential } from './credential.ts';

/** Who somebody is. Source: k8s.io/apiserver/pkg/authentication/user, Info. */
export interface Identity {
  readonly name: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Somebody who proved it, and by what. */
export interface Authenticated {
  readonly identity: Identity;
  readonly credential: Credential;
}

/** Who is asking. */
export interface User extends Identity {
  /** What they showed, also where they then act for somebody else. Absent for nobody, and for what this process does itself. */
  readonly credential?: Credential;
  /** How they proved it: a cookie needs protection from cross-site requests, a bearer token does not. */
  readonly via: 'Token' | 'Session' | 'Ticket' | 'Nothing';
  /** Whoever acts in this one's name, with this one's rights. */
  readonly impersonatedBy?: Identity;
}

/** Whoever does something: somebody who asked for it, or this process of its own accord. */
export type Actor = Identity & Pick<User, 'credential'>;

export const AUTHENTICATED_GROUP = 'system:authenticated';
export const UNAUTHENTICATED_GROUP = 'system:unauthenticated';
export const ANONYMOUS: User = { name: 'system:anonymous', groups: [UNAUTHENTICATED_GROUP], via: 'Nothing' };
export const ADMIN_GROUP = 'system:masters';
/** What this process does of its own accord, and the field manager of its writes. */
export const CONTROLLER: Identity = { name: 'system:corral-controllers', groups: [ADMIN_GROUP] };
export const CONTROLLER_FIELD_MANAGER = 'corral-controllers';
export const NODES_GROUP = 'system:nodes';

/** Whose share of the server it is. Service accounts share their namespace's: whoever may make one could make a thousand. */
export function tenantOf({ name }: Identity): string {
  const namespace = serviceAccountOf(name)?.namespace;
  return namespace === undefined ? `user ${name}` : `namespace ${namespace}`;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every request before any handler runs; authorization has passed when a handler runs. */
    user: User;
    /** What the request asks for; set with the user. Undefined when its target could not be read. */
    attributes: RequestAttributes | undefined;
    receivedAt: Date | undefined;
    /** Whether authentication and authorization let it pass. */
    isAdmitted: boolean | undefined;
    /** The reason of the Status it was refused with. */
    refusal: string | undefined;
    /** Of an object that was created: its name may be in the body only. */
    createdName: string | undefined;
    /** Gives back the seat it is carried out on, if it needs one. */
    leaveSeat: (() => void) | undefined;
  }
}
