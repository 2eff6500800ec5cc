import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import type { KubeObject } from '../metadata.ts';

/**
 * What somebody did or tried to do. Read-only, and newest first. The fields are those of Kubernetes's audit events.
 * Source: k8s.io/apiserver/pkg/apis/audit/v1, Event.
 */
export const AuditEventBody = z.strictObject({
  requestID: z.string().describe('The X-Request-Id of the answer.'),
  requestReceivedTimestamp: z.string(),
  verb: z.string().describe('As authorization sees it: create, update, patch, delete, get; for other paths the HTTP method.'),
  user: z.strictObject({
    username: z.string(),
    groups: z.array(z.string()),
    credential: z.string().optional().describe('Names what was shown, without being able to stand for it.'),
  }),
  impersonatedBy: z.strictObject({ username: z.string() }).optional().describe('Who it really was.'),
  objectRef: z
    .strictObject({ apiGroup: z.string().optional(), resource: z.string(), subresource: z.string().optional(), namespace: z.string().optional(), name: z.string().optional() })
    .optional(),
  requestURI: z.string().optional().describe('The path, where the request was not about a resource.'),
  sourceIPs: z.array(z.string()),
  userAgent: z.string().optional(),
  decision: z.enum(['Allowed', 'Denied']).describe('Whether authentication and authorization let it pass.'),
  responseStatus: z.strictObject({ code: z.number().int(), reason: z.string().optional() }),
});
export type AuditEventBody = z.output<typeof AuditEventBody>;
export type AuditEvent = KubeObject & AuditEventBody;
const asAuditEvent = (object: KubeObject): AuditEvent => object as AuditEvent;

export function auditedObject({ objectRef, requestURI }: Pick<AuditEventBody, 'objectRef' | 'requestURI'>): string {
  if (!objectRef) return requestURI ?? '';
  const { resource, subresource, name } = objectRef;
  return `${resource}${name ? `/${name}` : ''}${subresource ? ` ${subresource}` : ''}`;
}

/** Computed from the audit log: listed and read, never written. */
export const auditEvents: KindDefinition = {
  group: 'audit.corral.dev', version: 'v1', kind: 'AuditEvent', plural: 'auditevents', singular: 'auditevent', shortNames: ['audit'], categories: [],
  scope: 'Namespaced', nameRule: 'DnsSubdomain', builtIn: false, verbs: ['get', 'list'],
  body: AuditEventBody,
  columns: [
    { name: 'User', type: 'string', description: 'Who.', value: (event) => asAuditEvent(event).user.username },
    { name: 'Verb', type: 'string', description: 'What they did.', value: (event) => asAuditEvent(event).verb },
    { name: 'Object', type: 'string', description: 'To what.', value: (event) => auditedObject(asAuditEvent(event)) },
    { name: 'Code', type: 'integer', description: 'The HTTP status it ended with.', value: (event) => asAuditEvent(event).responseStatus.code },
    { name: 'From', type: 'string', description: 'The client’s address.', value: (event) => asAuditEvent(event).sourceIPs.join(',') },
    { name: 'Credential', type: 'string', description: 'What was shown.', priority: 1, value: (event) => asAuditEvent(event).user.credential ?? '' },
    { name: 'Request', type: 'string', description: 'The X-Request-Id of the answer.', priority: 1, value: (event) => asAuditEvent(event).requestID },
  ],
  selectableFields: {
    verb: (event) => asAuditEvent(event).verb,
    decision: (event) => asAuditEvent(event).decision,
    requestID: (event) => asAuditEvent(event).requestID,
    'user.username': (event) => asAuditEvent(event).user.username,
    'user.credential': (event) => asAuditEvent(event).user.credential ?? '',
    'objectRef.apiGroup': (event) => asAuditEvent(event).objectRef?.apiGroup ?? '',
    'objectRef.resource': (event) => asAuditEvent(event).objectRef?.resource ?? '',
    'objectRef.subresource': (event) => asAuditEvent(event).objectRef?.subresource ?? '',
    'objectRef.name': (event) => asAuditEvent(event).objectRef?.name ?? '',
    'responseStatus.code': (event) => String(asAuditEvent(event).responseStatus.code),
  },
};
