import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { MachinesPage } from '../features/machines/machines-page.tsx';
import { currentSession } from './session.ts';
import { Shell } from './shell.tsx';
import { BrokenPage, MissingPage } from './trouble.tsx';

/** What every page keeps in its URL: whose objects are shown, and whether the New machine dialog is open, and from what. */
export interface AppSearch {
  /** A namespace, or `*` for all; the default namespace when absent. */
  readonly ns?: string | undefined;
  readonly new?: 'machine' | undefined;
  readonly image?: string | undefined;
  readonly snapshot?: string | undefined;
}

export interface ListSearch {
  readonly q?: string | undefined;
  readonly status?: string | undefined;
  readonly view?: 'wall' | 'table' | undefined;
}

export interface SnapshotSearch {
  readonly q?: string | undefined;
  readonly draw?: 'tree' | 'table' | undefined;
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined;
const listSearch = (search: Record<string, unknown>): ListSearch => ({
  q: text(search['q']),
  status: text(search['status']),
  view: search['view'] === 'wall' || search['view'] === 'table' ? search['view'] : undefined,
});

const root = createRootRoute({ notFoundComponent: MissingPage });

export interface SignInSearch {
  readonly next?: string | undefined;
  readonly link?: string | undefined;
}

/** Why the API sends somebody here who wanted to sign in: a link used twice, or a provider that refused or is away. */
const failureOf = (search: object): string | undefined => ('sign-in' in search ? text(search['sign-in']) : undefined);

const signIn = createRoute({
  getParentRoute: () => root,
  // Not /sign-in: that is where the API redeems one-time links.
  path: '/signed-out',
  validateSearch: (search: Record<string, unknown>): SignInSearch => ({
    next: text(search['next']),
    link: text(search['link']),
  }),
  component: lazyRouteComponent(() => import('../features/sign-in/sign-in-page.tsx'), 'SignInPage'),
});

const app = createRoute({
  getParentRoute: () => root,
  id: 'app',
  validateSearch: (search: Record<string, unknown>): AppSearch => ({
    ns: text(search['ns']),
    new: search['new'] === 'machine' ? 'machine' : undefined,
    image: text(search['image']),
    snapshot: text(search['snapshot']),
  }),
  beforeLoad: async ({ location }) => {
    if ((await currentSession()).state !== 'SignedIn')
      throw redirect({
        to: '/signed-out',
        search:
          failureOf(location.search) === undefined ? { next: location.href } : { link: failureOf(location.search) },
      });
  },
  component: Shell,
  errorComponent: BrokenPage,
});

const home = createRoute({
  getParentRoute: () => app,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/machines', replace: true });
  },
});

const machines = createRoute({
  getParentRoute: () => app,
  path: '/machines',
  validateSearch: listSearch,
  component: MachinesPage,
  errorComponent: BrokenPage,
});

const machine = createRoute({
  getParentRoute: () => app,
  path: '/machines/$namespace/$name/$tab',
  component: lazyRouteComponent(() => import('../features/machine/machine-page.tsx'), 'MachinePage'),
  errorComponent: BrokenPage,
});

const machineHome = createRoute({
  getParentRoute: () => app,
  path: '/machines/$namespace/$name',
  beforeLoad: ({ params }) => {
    throw redirect({ to: '/machines/$namespace/$name/$tab', params: { ...params, tab: 'screen' }, replace: true });
  },
});

const snapshots = createRoute({
  getParentRoute: () => app,
  path: '/snapshots',
  validateSearch: (search: Record<string, unknown>): SnapshotSearch => ({
    q: text(search['q']),
    draw: search['draw'] === 'tree' || search['draw'] === 'table' ? search['draw'] : undefined,
  }),
  component: lazyRouteComponent(() => import('../features/snapshots/snapshots-page.tsx'), 'SnapshotsPage'),
  errorComponent: BrokenPage,
});

const pools = createRoute({
  getParentRoute: () => app,
  path: '/pools',
  component: lazyRouteComponent(() => import('../features/pools/pools-page.tsx'), 'PoolsPage'),
  errorComponent: BrokenPage,
});

const images = createRoute({
  getParentRoute: () => app,
  path: '/images',
  component: lazyRouteComponent(() => import('../features/images/images-page.tsx'), 'ImagesPage'),
  errorComponent: BrokenPage,
});

const nodes = createRoute({
  getParentRoute: () => app,
  path: '/nodes',
  component: lazyRouteComponent(() => import('../features/nodes/nodes-page.tsx'), 'NodesPage'),
  errorComponent: BrokenPage,
});

export interface AuditSearch {
  readonly user?: string | undefined;
  readonly verb?: string | undefined;
  readonly resource?: string | undefined;
  readonly name?: string | undefined;
  readonly outcome?: 'Allowed' | 'Denied' | undefined;
}

const audit = createRoute({
  getParentRoute: () => app,
  path: '/audit',
  validateSearch: (search: Record<string, unknown>): AuditSearch => ({
    user: text(search['user']),
    verb: text(search['verb']),
    resource: text(search['resource']),
    name: text(search['name']),
    outcome: search['outcome'] === 'Allowed' || search['outcome'] === 'Denied' ? search['outcome'] : undefined,
  }),
  component: lazyRouteComponent(() => import('../features/audit/audit-page.tsx'), 'AuditPage'),
  errorComponent: BrokenPage,
});

const tenants = createRoute({
  getParentRoute: () => app,
  path: '/tenants',
  component: lazyRouteComponent(() => import('../features/tenants/tenants-page.tsx'), 'TenantsPage'),
  errorComponent: BrokenPage,
});

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    app.addChildren([home, machines, machineHome, machine, snapshots, pools, images, nodes, tenants, audit]),
  ]),
  defaultPreload: 'intent',
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
