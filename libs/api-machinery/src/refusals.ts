import { Problem, qualifiedResource, type FieldProblem, type KindDefinition } from '@corral/contracts';
import { valueAt } from './field-path.ts';

/** Kubernetes's refusals in Kubernetes's words. Source: k8s.io/apimachinery/pkg/api/errors. */

const detailsOf = (kind: KindDefinition, name?: string) => ({ ...(name ? { name } : {}), group: kind.group, kind: kind.plural });

export function objectNotFound(kind: KindDefinition, name: string): Problem {
  return new Problem('object.not-found', `${qualifiedResource(kind)} "${name}" not found`, { details: detailsOf(kind, name) });
}

export function objectExists(kind: KindDefinition, name: string): Problem {
  return new Problem('object.exists', `${qualifiedResource(kind)} "${name}" already exists`, { details: detailsOf(kind, name) });
}

export function objectConflict(kind: KindDefinition, name: string, why = STALE): Problem {
  return new Problem('object.conflict', `Operation cannot be fulfilled on ${qualifiedResource(kind)} "${name}": ${why}`, {
    details: detailsOf(kind, name),
  });
}
const STALE = 'the object has been modified; please apply your changes to the latest version and try again';

export function namespaceNotFound(namespace: string): Problem {
  return new Problem('object.not-found', `namespaces "${namespace}" not found`, { details: { name: namespace, kind: 'namespaces' } });
}

export function namespaceTerminating(kind: KindDefinition, namespace: string, name: string): Problem {
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  return new Problem('request.forbidden', `${qualifiedResource(kind)} "${name}" is forbidden: ${why}`, {
    details: {
      ...detailsOf(kind, name),
      causes: [{ reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' }],
    },
  });
}

export function routeNotFound(): Problem {
  return new Problem('route.not-found', 'the server could not find the requested resource');
}

export function malformed(message: string, cause?: unknown): Problem {
  return new Problem('request.malformed', message, { cause });
}

/** The version asked for is gone from the change log. */
export function versionExpired(asked: number, oldest: number): Problem {
  return new Problem('version.expired', `too old resource version: ${asked} (${oldest})`);
}

export function versionNotReached(asked: number, current: number): Problem {
  return new Problem('version.not-reached', `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    details: { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }], retryAfterSeconds: 1 },
  });
}

/** How messages name an object's kind: `VirtualMachine.corral.dev`, or `Node` for the core group. */
const qualifiedKind = (kind: KindDefinition): string => (kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`);

/** 422 with one cause per bad field. */
export function objectInvalid(kind: KindDefinition, name: string, problems: readonly FieldProblem[], object?: unknown): Problem {
  const causes = problems.map((problem) => ({ reason: problem.reason, message: explain(problem, object), field: problem.field }));
  const lines = causes.map(({ field, message }) => `${field}: ${message}`);
  const list = lines.length === 1 ? (lines[0] ?? '') : `[${lines.join(', ')}]`;
  return new Problem('object.invalid', `${qualifiedKind(kind)} "${name}" is invalid: ${list}`, {
    details: { ...(name ? { name } : {}), group: kind.group, kind: kind.kind, causes },
  });
}

/** 422 for a query that nobody can mean. Source: k8s.io/apimachinery/pkg/apis/meta/v1/validation. */
export function optionsInvalid(kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions' | 'DeleteOptions' | 'ListOptions', problem: FieldProblem, options?: unknown): Problem {
  const message = explain(problem, options);
  return new Problem('object.invalid', `${kind}.meta.k8s.io "" is invalid: ${problem.field}: ${message}`, {
    details: { group: 'meta.k8s.io', kind, causes: [{ reason: problem.reason, message, field: problem.field }] },
  });
}

/** 400 for fields nobody knows, naming also everything else that is wrong with the object. */
export function strictDecodingFailed(
  kind: KindDefinition,
  name: string,
  decoding: readonly string[],
  problems: readonly FieldProblem[],
  object: unknown,
): Problem {
  const unknown = decoding.map((message) => ({ reason: 'FieldUnknown', message, field: /"(.*)"$/.exec(message)?.[1] ?? '' }));
  const bad = problems.map((problem) => ({ reason: problem.reason, message: explain(problem, object), field: problem.field }));
  const also = bad.length === 0 ? '' : `; also invalid: ${bad.map(({ field, message }) => `${field}: ${message}`).join(', ')}`;
  return new Problem(
    'request.malformed',
    `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: strict decoding error: ${decoding.join(', ')}${also}`,
    { details: { ...(name ? { name } : {}), group: kind.group, kind: kind.kind, causes: [...unknown, ...bad] } },
  );
}

/** The problem as field.Error prints it. Source: k8s.io/apimachinery/pkg/util/validation/field, Error.ErrorBody. */
function explain({ field, reason, message }: FieldProblem, object: unknown): string {
  const value = valueAt(object, field);
  const shown = value === undefined ? '' : `: ${shorten(JSON.stringify(value))}`;
  switch (reason) {
    case 'FieldValueRequired':
      return message ? `Required value: ${message}` : 'Required value';
    case 'FieldValueForbidden':
      return `Forbidden: ${message}`;
    case 'FieldValueNotSupported':
      return `Unsupported value${shown}: ${message}`;
    case 'FieldValueNotFound':
      return `Not found${shown}${message ? `: ${message}` : ''}`;
    case 'FieldValueDuplicate':
      return `Duplicate value${shown}`;
    case 'FieldValueTooLong':
      return `Too long: ${message}`;
    case 'FieldValueTypeInvalid':
    case 'FieldValueInvalid':
    case 'SnapshotNotReady':
    case 'SnapshotIncompatible':
    case 'VirtualMachineMoving':
    case 'VirtualMachineNotRunning':
      return `Invalid value${shown}: ${message}`;
    case 'FieldUnknown':
      return message;
  }
}

const shorten = (text: string): string => (text.length <= 200 ? text : `${text.slice(0, 197)}...`);
