import { malformed, type Query } from '@corral/api-machinery';
import { auditEvents } from '@corral/contracts';
import { Prisma } from '../../platform/database/generated/client.ts';

export interface AuditQuery {
  readonly where: Prisma.AuditEntryWhereInput;
  readonly limit: number;
}

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 500;
const MAX_ID = 2n ** 63n - 1n;

/** Of a field selector, the column it is about. */
const COLUMNS: Readonly<Record<string, keyof Prisma.AuditEntryWhereInput | undefined>> = {
  verb: 'verb',
  decision: 'decision',
  requestID: 'requestId',
  'user.username': 'userName',
  'user.credential': 'credential',
  'objectRef.apiGroup': 'apiGroup',
  'objectRef.resource': 'resource',
  'objectRef.subresource': 'subresource',
  'objectRef.name': 'name',
  'responseStatus.code': 'code',
  'metadata.namespace': 'namespace',
};

/**
 * Reads `fieldSelector`, `since`, `until` (RFC 3339), `limit` and `continue`. Refusal: `request.malformed`. A continue token
 * is the number of the last record seen: whoever makes one up sees nothing they could not list.
 */
export function readAuditQuery(query: Query, namespace: string | undefined): AuditQuery {
  const id = idOf(query('continue'));
  return {
    where: {
      ...(namespace === undefined ? {} : { namespace }),
      AND: [...selectorOf(query('fieldSelector')), ...(id === undefined ? [] : [{ id: { lt: id } }]), ...timesOf(query('since'), query('until'))],
    },
    limit: limitOf(query('limit')),
  };
}

function selectorOf(text: string | undefined): Prisma.AuditEntryWhereInput[] {
  return (text ?? '')
    .split(',')
    .filter((requirement) => requirement !== '')
    .map((requirement) => {
      const match = /^([^=!]+)(!=|==?)(.*)$/.exec(requirement);
      const [, field = '', operator, value = ''] = match ?? [];
      const column = Object.hasOwn(COLUMNS, field) ? COLUMNS[field] : undefined;
      if (column === undefined) throw malformed(`field label not supported: ${field || requirement}: known are ${[...Object.keys(auditEvents.selectableFields), 'metadata.namespace'].join(', ')}`);
      if (column === 'code' && !/^\d{3}$/.test(value)) throw malformed('responseStatus.code must be compared with a number of three digits');
      const wanted = column === 'code' ? Number(value) : value;
      return { [column]: operator === '!=' ? { not: wanted } : wanted };
    });
}

function timesOf(since: string | undefined, until: string | undefined): Prisma.AuditEntryWhereInput[] {
  return [...(since ? [{ at: { gte: timeOf('since', since) } }] : []), ...(until ? [{ at: { lt: timeOf('until', until) } }] : [])];
}

function timeOf(name: string, text: string): Date {
  const date = new Date(text);
  if (!/^\d{4}-\d{2}-\d{2}T/.test(text) || Number.isNaN(date.getTime())) throw malformed(`${name} must be a time such as 2026-11-20T09:00:00Z`);
  return date;
}

function limitOf(text: string | undefined): number {
  if (text === undefined || text === '' || text === '0') return DEFAULT_LIMIT;
  if (!/^\d{1,9}$/.test(text)) throw malformed('limit must be a whole number');
  return Math.min(Number(text), MAX_LIMIT);
}

function idOf(token: string | undefined): bigint | undefined {
  if (token === undefined || token === '') return undefined;
  const id = /^\d{1,19}$/.test(token) ? BigInt(token) : MAX_ID + 1n;
  if (id > MAX_ID) throw malformed('continue key is not valid: it was not given by this server, or was changed');
  return id;
}
