import { requestAttributes } from '@corral/api-machinery';

/**
 * Who may ask for a path that is about no resource: anybody at all; whoever is somebody; or whom a role grants the path
 * (`nonResourceURLs`). Paths of resources need no entry: each has the guard that follows from its method and path.
 */
export type Guard = 'Open' | 'Authenticated' | 'Granted';

/** Every such route there is. The server does not start with a route that is not here, so a new one is thought about first. */
const GUARDS: Readonly<Record<string, Guard | undefined>> = {
  // Whoever watches over the process holds no token.
  'GET /livez': 'Open',
  'GET /readyz': 'Open',
  'GET /healthz': 'Open',
  'GET /version': 'Open',
  // How one becomes somebody, and stops being it.
  'GET /sign-in': 'Open',
  'GET /auth/methods': 'Open',
  'GET /auth/oidc/start': 'Open',
  'GET /auth/oidc/callback': 'Open',
  'POST /auth/sessions': 'Open',
  'DELETE /auth/sessions': 'Open',
  // Whoever verifies a service account's token elsewhere: public keys.
  'GET /.well-known/openid-configuration': 'Open',
  'GET /openid/v1/jwks': 'Open',
  // The console's files hold no secret.
  'GET /*': 'Open',
  // About oneself. What is behind /live is checked per watch, and a ticket gives no right that its owner has not.
  'GET /auth/session': 'Authenticated',
  'POST /auth/tickets': 'Authenticated',
  'GET /live': 'Authenticated',
  // A link signs in whoever follows it.
  'POST /auth/sign-in-links': 'Granted',
  // Of worker hosts only: see node-authorizer.ts.
  'POST /auth/node-credentials': 'Granted',
  'GET /metrics': 'Granted',
  'GET /livez/:check': 'Granted',
  'GET /readyz/:check': 'Granted',
  'GET /healthz/:check': 'Granted',
  'POST /admin/change-log/compactions': 'Granted',
  // Discovery: granted to everybody signed in by the role system:discovery.
  'GET /api': 'Granted',
  'GET /api/:version': 'Granted',
  'GET /apis': 'Granted',
  'GET /apis/:group': 'Granted',
  'GET /apis/:group/:version': 'Granted',
  'GET /openapi/*': 'Granted',
};

/** What the API itself serves: nothing here is a file of the console, whether there is such a route or not. */
const API_ROOTS = ['api', 'apis', 'openapi', 'metrics', 'livez', 'readyz', 'healthz', 'auth', 'live', 'admin'];

const EXACT = new Map(Object.entries(GUARDS).flatMap(([route, guard]) => (guard === undefined || /[:*]/.test(route) ? [] : [[route, guard] as const])));

/** The guard of a request that is about no resource; `verb` is its HTTP method. What matches nothing is closed. */
export function guardOf(verb: string, path: string): Guard {
  const method = verb === 'head' ? 'GET' : verb.toUpperCase();
  const exact = EXACT.get(`${method} ${path}`);
  if (exact) return exact;
  if (method !== 'GET') return 'Granted';
  return !API_ROOTS.includes(path.split('/').find((part) => part !== '') ?? '') ? 'Open' : 'Granted';
}

/** Refuses a route nobody thought about. `path` is a pattern, as routers know it. */
export function requireDeclaredGuard(method: string, path: string): void {
  const named = method === 'HEAD' ? 'GET' : method;
  if (named === 'OPTIONS' || requestAttributes(named, path, () => undefined).isResource) return;
  if (declared(named, path) !== undefined) return;
  throw new Error(`The route ${method} ${path} has no guard: say in platform/auth/route-guards.ts who may ask for it`);
}

function declared(method: string, path: string): Guard | undefined {
  const parts = path.split('/');
  // A route as specific as the entry, or more: `/apis/corral.dev` is one of `/apis/:group`.
  return Object.entries(GUARDS).find(([route]) => {
    const [entryMethod, entryPath = ''] = route.split(' ');
    if (entryMethod !== method) return false;
    if (entryPath === path) return true;
    if (entryPath === '/*' || entryPath === '/') return false;
    const entryParts = entryPath.split('/');
    if (entryPath.endsWith('/*')) return path.startsWith(entryPath.slice(0, -1));
    return entryParts.length === parts.length && entryParts.every((part, index) => part === parts[index] || part.startsWith(':'));
  })?.[1];
}
