import { isTrue, requestAttributes } from './request-attributes.ts';

const of = (method: string, url: string) => {
  const parsed = new URL(url, 'http://localhost');
  return requestAttributes(method, parsed.pathname, (name) => parsed.searchParams.get(name) ?? undefined);
};

it.each([
  ['GET', '/api/v1/namespaces', 'list', '', 'namespaces', '', '', ''],
  ['GET', '/api/v1/namespaces/a', 'get', '', 'namespaces', '', 'a', 'a'],
  ['PUT', '/api/v1/namespaces/a/status', 'update', '', 'namespaces', 'status', 'a', 'a'],
  ['GET', '/apis/corral.dev/v1/virtualmachines?watch=true', 'watch', 'corral.dev', 'virtualmachines', '', '', ''],
  ['GET', '/apis/corral.dev/v1/virtualmachines?watch=false', 'list', 'corral.dev', 'virtualmachines', '', '', ''],
  ['GET', '/apis/corral.dev/v1/namespaces/a/virtualmachines?fieldSelector=metadata.name%3Dx', 'list', 'corral.dev', 'virtualmachines', '', 'a', 'x'],
  ['POST', '/apis/corral.dev/v1/namespaces/a/virtualmachines', 'create', 'corral.dev', 'virtualmachines', '', 'a', ''],
  ['DELETE', '/apis/corral.dev/v1/namespaces/a/virtualmachines', 'deletecollection', 'corral.dev', 'virtualmachines', '', 'a', ''],
  ['DELETE', '/apis/corral.dev/v1/namespaces/a/virtualmachines/x', 'delete', 'corral.dev', 'virtualmachines', '', 'a', 'x'],
  ['PATCH', '/apis/corral.dev/v1/namespaces/a/virtualmachines/x/status', 'patch', 'corral.dev', 'virtualmachines', 'status', 'a', 'x'],
  ['POST', '/apis/corral.dev/v1/namespaces/a/virtualmachines/x/exec', 'create', 'corral.dev', 'virtualmachines', 'exec', 'a', 'x'],
  ['POST', '/apis/corral.dev/v1/artifacts?sha256=1', 'create', 'corral.dev', 'artifacts', '', '', ''],
  ['GET', '/apis/corral.dev/v1/namespaces/a%2Fb/virtualmachines/x', 'get', 'corral.dev', 'virtualmachines', '', 'a/b', 'x'],
])('%s %s is %s on %s %s/%s in "%s" named "%s"', (method, url, verb, group, resource, subresource, namespace, name) => {
  expect(of(method, url)).toMatchObject({ isResource: true, verb, group, resource, subresource, namespace, name });
});

it.each(['/', '/api', '/api/v1', '/apis', '/apis/corral.dev', '/apis/corral.dev/v1', '/version', '/openapi/v3/api/v1', '/auth/sessions'])('%s is no resource', (path) => {
  expect(of('GET', path)).toEqual({ isResource: false, verb: 'get', path });
});

it.each([['true', true], ['1', true], ['', true], ['false', false], ['0', false], [undefined, false]])('reads %s as %s', (text, expected) => {
  expect(isTrue(text)).toBe(expected);
});
