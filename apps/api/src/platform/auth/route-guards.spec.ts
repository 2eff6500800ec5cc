import { guardOf, requireDeclaredGuard } from './route-guards.ts';

it.each([
  ['get', '/livez', 'Open'],
  ['head', '/livez', 'Open'],
  ['get', '/readyz/database', 'Granted'],
  ['post', '/livez', 'Granted'],
  ['get', '/', 'Open'],
  ['get', '/assets/index.js', 'Open'],
  ['get', '/anything', 'Open'],
  ['put', '/anything', 'Granted'],
  ['get', '/metrics', 'Granted'],
  ['get', '//metrics', 'Granted'],
  ['get', '/metrics/more', 'Granted'],
  ['get', '/auth/session', 'Authenticated'],
  ['get', '/auth/sessions', 'Granted'],
  ['get', '/auth/new-route', 'Granted'],
  ['delete', '/auth/session', 'Granted'],
  ['post', '/auth/sessions', 'Open'],
  ['get', '/apis/corral.dev', 'Granted'],
  ['get', '/admin/anything', 'Granted'],
])('%s %s is %s', (verb, path, guard) => {
  expect(guardOf(verb, path)).toBe(guard);
});

it.each([
  ['GET', '/apis/corral.dev'],
  ['GET', '/apis/corral.dev/v1'],
  ['HEAD', '/api'],
  ['GET', '/openapi/v3/*'],
  ['GET', '/*'],
  // Its guard follows from its path: verb and resource.
  ['POST', '/apis/corral.dev/v1/namespaces/:namespace/virtualmachines/:name/anything'],
])('the route %s %s may be there', (method, path) => {
  expect(() => requireDeclaredGuard(method, path)).not.toThrow();
});

it.each([
  ['GET', '/auth/new-route'],
  ['POST', '/livez'],
  ['GET', '/new-route'],
  ['GET', '/files/*'],
  ['PUT', '/*'],
  ['GET', '/admin/:what'],
  ['DELETE', '/auth/session'],
])('the route %s %s may not: nobody said who may ask for it', (method, path) => {
  expect(() => requireDeclaredGuard(method, path)).toThrow('has no guard');
});
