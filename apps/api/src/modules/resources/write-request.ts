import { optionsInvalid, type FieldValidation } from '@corral/api-machinery';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { queryValue } from '../../platform/http/http-server.ts';
import type { WriteOptions } from './write-options.ts';

type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions';
const OPTIONS_BY_METHOD: Readonly<Record<string, OptionsKind>> = { PUT: 'UpdateOptions', PATCH: 'PatchOptions' };

/** What the query and the headers of a write say about it. Refuses (422) what no write can mean. */
export function writeOptions(request: FastifyRequest, reply: FastifyReply): WriteOptions {
  const query = (name: string): string | undefined => queryValue(request.query, name);
  const kind = OPTIONS_BY_METHOD[request.method] ?? 'CreateOptions';
  return {
    user: request.user,
    fieldManager: readFieldManager(kind, query('fieldManager')) ?? fieldManagerOf(request.headers['user-agent']),
    dryRun: readDryRun(kind, query('dryRun')),
    fieldValidation: readFieldValidation(kind, query('fieldValidation')),
    warn: warningsTo(reply),
  };
}

function warningsTo(reply: FastifyReply): (text: string) => void {
  // A write that is tried again warns again.
  const said = new Set<string>();
  return (text) => {
    if (said.has(text)) return;
    said.add(text);
    // One header per warning, as RFC 7234 §5.5 writes them; Node keeps repeated values apart.
    const quoted = text.replaceAll(/[\\"]/g, '\\$&').replaceAll(/[^\x20-\x7e]/g, '?');
    reply.raw.appendHeader('warning', `299 - "${quoted}"`);
  };
}

const MAX_FIELD_MANAGER_BYTES = 128;
/** Source: k8s.io/apimachinery/pkg/apis/meta/v1/validation, ValidateFieldManager. */
function readFieldManager(kind: OptionsKind, text: string | undefined): string | undefined {
  if (!text) return undefined;
  if (Buffer.byteLength(text) > MAX_FIELD_MANAGER_BYTES) {
    throw optionsInvalid(kind, { field: 'fieldManager', reason: 'FieldValueTooLong', message: `may not be more than ${MAX_FIELD_MANAGER_BYTES} bytes` });
  }
  if (/[\p{C}]/u.test(text)) throw optionsInvalid(kind, { field: 'fieldManager', reason: 'FieldValueInvalid', message: 'should only contain printable characters' }, { fieldManager: text });
  return text;
}

/** Source: k8s.io/apiserver/pkg/endpoints/handlers, managerOrUserAgent. */
const fieldManagerOf = (userAgent = 'unknown'): string => (userAgent.split('/', 1)[0] || 'unknown').replaceAll(/[\p{C}]/gu, '').slice(0, MAX_FIELD_MANAGER_BYTES);

export function readDryRun(kind: OptionsKind | 'DeleteOptions', text: string | undefined): boolean {
  if (text === undefined || text === '') return false;
  if (text === 'All') return true;
  throw optionsInvalid(kind, { field: 'dryRun', reason: 'FieldValueNotSupported', message: 'supported values: "All"' }, { dryRun: [text] });
}

function readFieldValidation(kind: OptionsKind, text: string | undefined): FieldValidation | undefined {
  if (text === undefined || text === '') return undefined;
  if (text === 'Strict' || text === 'Warn' || text === 'Ignore') return text;
  throw optionsInvalid(kind, { field: 'fieldValidation', reason: 'FieldValueNotSupported', message: 'supported values: "Ignore", "Strict", "Warn"' }, { fieldValidation: text });
}
