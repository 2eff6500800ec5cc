import type { NewObject } from '@corral/contracts';
import { apiPath } from '@corral/contracts';
import { manifestOf, type Resource } from './resources.ts';

/** An action as one would do it without the console. The curl form takes the token from `$CORRAL_TOKEN`. */
export interface Command {
  readonly kubectl: string;
  readonly curl: string;
}

interface Target {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string;
}

export function createCommand(resource: Resource, object: NewObject, origin: string): Command {
  const manifest = manifestOf(resource, object);
  return {
    kubectl: `kubectl create -f - <<'EOF'\n${toYaml(manifest)}EOF`,
    curl: curl(origin, 'POST', apiPath(resource, object.metadata.namespace), manifest),
  };
}

export function patchCommand({ resource, namespace, name }: Target, patch: object, origin: string): Command {
  return {
    kubectl: `kubectl patch ${kubectlTarget(resource, namespace, name)} --type=merge -p ${quote(JSON.stringify(patch))}`,
    curl: curl(origin, 'PATCH', apiPath(resource, namespace, name), patch, 'application/merge-patch+json'),
  };
}

export function deleteCommand({ resource, namespace, name }: Target, origin: string): Command {
  return {
    kubectl: `kubectl delete ${kubectlTarget(resource, namespace, name)}`,
    curl: curl(origin, 'DELETE', apiPath(resource, namespace, name)),
  };
}

export function getCommand({ resource, namespace, name }: Target, origin: string): Command {
  return {
    kubectl: `kubectl get ${kubectlTarget(resource, namespace, name)} -o yaml`,
    curl: curl(origin, 'GET', apiPath(resource, namespace, name)),
  };
}

function kubectlTarget(resource: Resource, namespace: string | undefined, name: string): string {
  return [resource.kind.toLowerCase(), quote(name), ...(namespace === undefined ? [] : ['-n', quote(namespace)])].join(
    ' ',
  );
}

function curl(origin: string, method: string, path: string, body?: object, contentType = 'application/json'): string {
  return [
    method === 'GET' ? 'curl' : `curl -X ${method}`,
    ` ${quote(origin + path)} \\\n  -H "Authorization: Bearer $CORRAL_TOKEN"`,
    ...(body === undefined
      ? []
      : [` \\\n  -H ${quote(`Content-Type: ${contentType}`)} \\\n  -d ${quote(JSON.stringify(body))}`]),
  ].join('');
}

/** Safe to paste: what a POSIX shell could read as anything but itself goes in single quotes. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Plain YAML of a manifest: maps of maps and scalars. Text that YAML could read as something else is written as JSON, which is YAML. */
function toYaml(value: object, indent = ''): string {
  return Object.entries(value)
    .filter(([, entry]) => entry !== undefined)
    .map(([key, entry]: [string, unknown]) => {
      if (Array.isArray(entry) || entry === null || typeof entry !== 'object')
        return `${indent}${scalar(key)}: ${Array.isArray(entry) ? JSON.stringify(entry) : scalar(entry)}\n`;
      return Object.keys(entry).length === 0
        ? `${indent}${scalar(key)}: {}\n`
        : `${indent}${scalar(key)}:\n${toYaml(entry, `${indent}  `)}`;
    })
    .join('');
}

function scalar(value: unknown): string {
  const plain =
    typeof value === 'string' &&
    /^[A-Za-z][\w./-]*$/.test(value) &&
    !/^(true|false|yes|no|on|off|null|y|n)$/i.test(value);
  return plain || (typeof value === 'string' && /^\d+(Ki|Mi|Gi|Ti)$/.test(value))
    ? String(value)
    : JSON.stringify(value);
}
