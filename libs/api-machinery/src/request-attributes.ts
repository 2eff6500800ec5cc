/** What a request asks for, as authorization sees it. Source: k8s.io/apiserver/pkg/endpoints/request, RequestInfo. */
export type RequestAttributes =
  | {
      readonly isResource: true;
      readonly verb: string;
      readonly group: string;
      readonly version: string;
      readonly resource: string;
      readonly subresource: string;
      /** Empty: cluster-scoped, or all namespaces. */
      readonly namespace: string;
      readonly name: string;
      /** As it was sent; absent without one. */
      readonly fieldSelector?: string;
    }
  | { readonly isResource: false; readonly verb: string; readonly path: string };

/** Derived from method and path alone, so that a route added later is guarded before anyone thinks of it. */
export function requestAttributes(method: string, path: string, query: (name: string) => string | undefined): RequestAttributes {
  const parts = path.split('/').filter((part) => part !== '').map(decode);
  const root = parts[0];
  const resourceParts = root === 'api' && parts.length > 2 ? parts.slice(2) : root === 'apis' && parts.length > 3 ? parts.slice(3) : undefined;
  if (!resourceParts) return { isResource: false, verb: method.toLowerCase(), path };
  const [group, version] = root === 'api' ? ['', parts[1] ?? ''] : [parts[1] ?? '', parts[2] ?? ''];

  let namespace = '';
  let rest = resourceParts;
  if (rest[0] === 'namespaces' && rest.length > 1) {
    namespace = rest[1] ?? '';
    if (rest.length > 2 && !NAMESPACE_SUBRESOURCES.includes(rest[2] ?? '')) rest = rest.slice(2);
  }
  const [resource = '', nameInPath = '', ...sub] = rest;
  const verb = verbOf(method, nameInPath, query);
  // A list that can show one object only is a question about that object; a create or a deletecollection never is.
  const name = nameInPath || (verb === 'list' || verb === 'watch' ? nameOfSelector(query('fieldSelector')) : '');
  const fieldSelector = query('fieldSelector');
  return { isResource: true, verb, group, version, resource, subresource: sub[0] ?? '', namespace, name, ...(fieldSelector ? { fieldSelector } : {}) };
}
const NAMESPACE_SUBRESOURCES = ['status', 'finalize', 'wait'];

function verbOf(method: string, name: string, query: (name: string) => string | undefined): string {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === '' ? 'deletecollection' : 'delete';
    default:
      if (name !== '') return 'get';
      return isTrue(query('watch')) ? 'watch' : 'list';
  }
}

/** As Go's strconv.ParseBool reads query values; a bare `?watch` counts as true. */
export function isTrue(value: string | undefined): boolean {
  return value !== undefined && !['0', 'f', 'false', 'F', 'False', 'FALSE'].includes(value);
}

/** As the list will read it: several requirements are met all at once, so any of them narrows to its name. */
function nameOfSelector(selector = ''): string {
  const names = selector.split(',').map((part) => /^\s*metadata\.name\s*==?\s*([^=\s][^\s]*)\s*$/.exec(part)?.[1]);
  return names.find((name) => name !== undefined) ?? '';
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
