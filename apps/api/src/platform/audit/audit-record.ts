import type { RequestAttributes } from '@corral/api-machinery';
import { credentialId } from '../auth/credential.ts';
import { NODES_GROUP, type User } from '../auth/user.ts';

/** One line of the audit log. Never a body, a header or a query: what may hold a secret is not in it. */
export interface AuditRecord {
  readonly at: Date;
  readonly requestId: string;
  readonly userName: string;
  readonly groups: readonly string[];
  readonly impersonatedBy: string | undefined;
  readonly credential: string | undefined;
  readonly verb: string;
  readonly apiGroup: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly path: string;
  readonly address: string;
  readonly userAgent: string;
  readonly decision: 'Allowed' | 'Denied';
  readonly code: number;
  readonly reason: string | undefined;
}

/** What became of a request, as the audit log sees it. */
export interface AuditedRequest {
  readonly at: Date;
  readonly requestId: string;
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly user: User;
  /** Undefined when the target could not be read. */
  readonly attributes: RequestAttributes | undefined;
  readonly address: string;
  readonly userAgent: string | undefined;
  readonly decision: 'Allowed' | 'Denied';
  readonly code: number;
  readonly reason?: string | undefined;
  /** A WebSocket into a guest. */
  readonly isOpen?: boolean;
}

const READS = ['GET', 'HEAD', 'OPTIONS'];
const MAX_TEXT = 512;

/**
 * The line to write, if any: every write, whatever became of it; every request that was denied; every way into a guest; and
 * reads of Secrets. Renewing a Lease is no news: nodes do it every few seconds.
 */
export function auditRecordOf(request: AuditedRequest): AuditRecord | undefined {
  if (!isAudited(request)) return undefined;
  const { attributes, user, method } = request;
  const resource = attributes?.isResource ? attributes : undefined;
  return {
    at: request.at,
    requestId: request.requestId,
    userName: bounded(user.name),
    groups: user.groups.map(bounded),
    impersonatedBy: user.impersonatedBy && bounded(user.impersonatedBy.name),
    credential: user.credential && credentialId(user.credential),
    verb: bounded(resource?.verb ?? method.toLowerCase()),
    apiGroup: bounded(resource?.group ?? ''),
    resource: bounded(resource?.resource ?? ''),
    subresource: bounded(resource?.subresource ?? ''),
    namespace: bounded(resource?.namespace ?? ''),
    name: bounded(resource?.name ?? ''),
    path: resource ? '' : bounded(request.path),
    address: request.address,
    userAgent: bounded(request.userAgent ?? ''),
    decision: request.decision,
    code: request.code,
    reason: request.reason,
  };
}

function isAudited({ method, attributes, user, decision, isOpen, path }: AuditedRequest): boolean {
  if (decision === 'Denied' || isOpen) return true;
  if (!READS.includes(method)) return !(attributes?.isResource && attributes.resource === 'leases' && user.groups.includes(NODES_GROUP));
  // A link that signs in, and what an OpenID provider sends back.
  if (!attributes?.isResource) return path === '/sign-in' || path === '/auth/oidc/callback';
  return attributes.resource === 'secrets' || attributes.subresource === 'files';
}

/** What a caller sends is kept up to a length, and as PostgreSQL's text can hold it. */
const bounded = (text: string): string => text.slice(0, MAX_TEXT).replaceAll('\0', '').toWellFormed();
