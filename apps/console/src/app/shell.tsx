import type { VirtualMachineSnapshot } from '@corral/contracts';
import { Button, classNames, StatusGlyph } from '@corral/ui';
import { Link, Outlet, useLocation, useMatch, useNavigate, useSearch } from '@tanstack/react-router';
import {
  Building2,
  ChevronsUpDown,
  Disc3,
  Flame,
  Keyboard,
  LogOut,
  Monitor,
  Network,
  Plus,
  ScrollText,
  Server,
  type LucideIcon,
} from 'lucide-react';
import { lazy, Suspense, useEffect, useState, type ReactElement } from 'react';
import { IMAGES, MACHINES, NAMESPACES, NODES, POOLS, SNAPSHOTS } from '../api/resources.ts';
import { isKept } from '../features/snapshots/lineage.ts';
import { reconnect, useCollection, useConnection } from '../live/live.ts';
import { useLocalNow } from '../live/now.ts';
import { en } from '../messages/en.ts';
import { useKeys } from './keys.ts';
import { usePhone } from './media.ts';
import { ALL_NAMESPACES, useCollectionPath, useDefaultNamespace, useNamespace, useNamespaces, useSeesAll } from './namespace.ts';
import { Notices } from './notices.tsx';
import { signOut, useSession } from './session.ts';

const loadOverlays = async () => ({
  default: (await import('../features/new-machine/new-machine-dialog.tsx')).NewMachineDialog,
});
const NewMachineDialog = lazy(loadOverlays);
const KeysDialog = lazy(async () => ({ default: (await import('./keys-dialog.tsx')).KeysDialog }));

const PAGES = [
  { to: '/machines', label: en.nav.machines, icon: Monitor, key: 'm', resource: MACHINES, section: undefined },
  { to: '/snapshots', label: en.nav.snapshots, icon: Network, key: 's', resource: SNAPSHOTS, section: undefined },
  { to: '/pools', label: en.nav.pools, icon: Flame, key: 'p', resource: POOLS, section: undefined },
  { to: '/images', label: en.nav.images, icon: Disc3, key: 'i', resource: IMAGES, section: en.nav.platform },
  { to: '/nodes', label: en.nav.nodes, icon: Server, key: 'n', resource: NODES, section: en.nav.platform },
  { to: '/tenants', label: en.nav.tenants, icon: Building2, key: 't', resource: NAMESPACES, section: en.nav.tenancy },
  // The log is read page by page: there is no list of it to count.
  { to: '/audit', label: en.nav.audit, icon: ScrollText, key: 'a', resource: undefined, section: en.nav.tenancy },
] as const;

/** What is in no namespace is not for those who have rights in a few only. */
function usePages(): readonly (typeof PAGES)[number][] {
  const seesAll = useSeesAll();
  return PAGES.filter(({ resource }) => seesAll || (resource !== NODES && resource !== NAMESPACES));
}

/** What stands around every page. Its own controls are plain elements: dialogs and menus come when they are first needed. */
export function Shell(): ReactElement {
  const navigate = useNavigate();
  const search = useSearch({ from: '/app' });
  const session = useSession();
  const location = useLocation();
  const phone = usePhone();
  const onMachine = useMatch({ from: '/app/machines/$namespace/$name/$tab', shouldThrow: false }) !== undefined;
  const [showKeys, setShowKeys] = useState(false);
  const pages = usePages();

  const go = (to: (typeof PAGES)[number]['to']) => () => void navigate({ to, search: { ns: search.ns } });
  useKeys({
    c: () => void navigate({ to: '.', search: (previous) => ({ ...previous, new: 'machine' }) }),
    '?': () => setShowKeys(true),
    ...Object.fromEntries(pages.map(({ key, to }) => [`g ${key}`, go(to)])),
  });

  useEffect(() => {
    // The shell is still there while the sign-in page is on its way: that is not the page one wanted.
    if (session.state === 'SignedOut' && location.pathname !== '/signed-out')
      void navigate({ to: '/signed-out', search: { next: location.href } });
  }, [session.state, navigate, location.pathname, location.href]);

  useEffect(() => {
    const idle = window.requestIdleCallback ?? ((run: () => void) => setTimeout(run, 500));
    idle(() => void loadOverlays());
  }, []);

  return (
    <div className="grid h-dvh grid-cols-[minmax(0,1fr)] grid-rows-[minmax(0,1fr)_auto] phone:grid-cols-[64px_minmax(0,1fr)] phone:grid-rows-[minmax(0,1fr)] wide:grid-cols-[216px_minmax(0,1fr)]">
      <a
        href="#content"
        className="absolute top-2 left-2 z-50 -translate-y-20 rounded-control bg-primary px-3 py-2 text-on-primary focus:translate-y-0"
      >
        {en.nav.skip}
      </a>
      {!phone && <Sidebar user={session.state === 'SignedIn' ? session.user : ''} onKeys={() => setShowKeys(true)} />}
      <div className="flex min-h-0 min-w-0 flex-col">
        <OfflineStrip />
        <Outlet />
      </div>
      {phone && !onMachine && <BottomTabs />}
      <Notices />
      <Suspense>
        {search.new === 'machine' && <NewMachineDialog />}
        {showKeys && <KeysDialog onClose={() => setShowKeys(false)} />}
      </Suspense>
    </div>
  );
}

function Sidebar({ user, onKeys }: { readonly user: string; readonly onKeys: () => void }): ReactElement {
  const pages = usePages();
  return (
    <header className="flex min-h-0 flex-col gap-1 overflow-y-auto border-r border-line bg-canvas p-2.5">
      <div className="flex h-9 items-center gap-2.5 px-2 max-wide:justify-center">
        <Mark />
        <span className="text-15 font-strong tracking-tight max-wide:hidden">{en.product}</span>
      </div>
      <NamespaceSwitcher />
      <nav aria-label={en.nav.main} className="mt-1.5 flex flex-col gap-0.5">
        {pages.map((page, index) => (
          <div key={page.to}>
            {page.section !== undefined && page.section !== pages[index - 1]?.section && (
              <p className="mt-3 mb-1 px-2.5 text-12 text-ink3 max-wide:hidden">{page.section}</p>
            )}
            <NavLink {...page} />
          </div>
        ))}
      </nav>
      <div className="flex-1" />
      <ConnectionLine />
      <div className="flex items-center gap-2 px-2 py-1 max-wide:flex-col max-wide:px-0">
        <span
          aria-hidden
          className="grid size-6 shrink-0 place-items-center rounded-full bg-asleep text-11 font-strong text-canvas uppercase max-wide:hidden"
        >
          {user.slice(0, 1)}
        </span>
        <span className="min-w-0 flex-1 truncate max-wide:hidden" title={en.nav.signedInAs(user)}>
          {user}
        </span>
        <SidebarButton label={en.nav.keys} icon={Keyboard} onClick={onKeys} />
        <SidebarButton label={en.nav.signOut} icon={LogOut} onClick={() => void signOut()} />
      </div>
    </header>
  );
}

function SidebarButton({
  label,
  icon: Icon,
  onClick,
}: {
  readonly label: string;
  readonly icon: LucideIcon;
  readonly onClick: () => void;
}): ReactElement {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      onClick={onClick}
      className="grid size-7 place-items-center rounded-control text-ink3 hover:bg-hover hover:text-ink"
    >
      <Icon aria-hidden size={15} />
    </button>
  );
}

function NavLink({ to, label, icon: Icon, resource }: (typeof PAGES)[number]): ReactElement {
  const { ns } = useSearch({ from: '/app' });
  const path = useCollectionPath(resource ?? NAMESPACES);
  const { items, loaded } = useCollection(resource && path);
  const shown = resource === SNAPSHOTS ? items.filter((item) => isKept(item as VirtualMachineSnapshot)) : items;
  return (
    <Link
      to={to}
      search={{ ns }}
      title={label}
      className="flex h-8 items-center gap-2.5 rounded-control px-2.5 font-medium text-ink2 transition-colors duration-80 hover:bg-hover hover:text-ink max-wide:justify-center"
      activeProps={{ className: 'bg-hover !text-ink' }}
    >
      <Icon aria-hidden size={16} className="shrink-0" />
      <span className="flex-1 max-wide:sr-only">{label}</span>
      {loaded && <span className="text-12 font-normal text-ink2 max-wide:hidden">{shown.length}</span>}
    </Link>
  );
}

function NamespaceSwitcher({ compact = false }: { readonly compact?: boolean }): ReactElement {
  const navigate = useNavigate();
  const namespace = useNamespace();
  const usual = useDefaultNamespace();
  const seesAll = useSeesAll();
  const known = useNamespaces();
  const names = namespace === undefined || known.includes(namespace) ? known : [...known, namespace].sort();
  const shown = namespace ?? en.nav.allNamespaces;
  return (
    <div
      className={classNames(
        'relative flex items-center gap-2 rounded-control border border-line2 bg-panel focus-within:outline-2 focus-within:outline-offset-2 focus-within:outline-accent',
        compact ? 'h-9 min-w-0 px-2.5' : 'h-9 px-2 max-wide:justify-center',
      )}
    >
      {!compact && (
        <span
          aria-hidden
          className="grid size-5 shrink-0 place-items-center rounded-tag bg-asleep text-11 font-strong text-canvas uppercase"
        >
          {namespace?.slice(0, 1) ?? ALL_NAMESPACES}
        </span>
      )}
      <span className={classNames('min-w-0 flex-1 truncate font-medium', !compact && 'max-wide:hidden')}>{shown}</span>
      <ChevronsUpDown
        aria-hidden
        size={14}
        className={classNames('shrink-0 text-ink3', !compact && 'max-wide:hidden')}
      />
      {/* The native list, laid over its own look: no library before the first paint, and right on a phone. */}
      <select
        aria-label={en.nav.namespace}
        value={namespace ?? ALL_NAMESPACES}
        onChange={({ target }) =>
          void navigate({
            to: '.',
            search: (previous) => ({ ...previous, ns: target.value === usual ? undefined : target.value }),
          })
        }
        className="absolute inset-0 cursor-pointer appearance-none bg-panel text-ink opacity-0"
      >
        {seesAll && <option value={ALL_NAMESPACES}>{en.nav.allNamespaces}</option>}
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </div>
  );
}

/** The same switcher, where there is no sidebar. */
export function CompactNamespaceSwitcher(): ReactElement {
  return <NamespaceSwitcher compact />;
}

function ConnectionLine(): ReactElement {
  const connection = useConnection();
  const [shape, tone, label] =
    connection.state === 'Live'
      ? (['Disc', 'Good', en.connection.live] as const)
      : connection.state === 'Connecting'
        ? (['Arc', 'Motion', en.connection.connecting] as const)
        : (['Dashed', 'Unknown', en.connection.offline] as const);
  return (
    <p
      role="status"
      title={label}
      className="flex items-center gap-2.5 px-2.5 py-1.5 text-ink2 max-wide:justify-center"
    >
      <StatusGlyph shape={shape} tone={tone} size={11} />
      <span className="max-wide:sr-only">{label}</span>
    </p>
  );
}

/** Offline for less than this is a blink: no strip for it. */
const BLINK_MS = 1500;

function OfflineStrip(): ReactElement | null {
  const connection = useConnection();
  const now = useLocalNow();
  if (connection.state !== 'Offline' || now.getTime() - connection.since.getTime() < BLINK_MS) return null;
  const seconds = Math.max(0, Math.ceil((connection.retryAt.getTime() - now.getTime()) / 1000));
  return (
    <div
      role="status"
      className="flex flex-wrap items-center gap-x-2 gap-y-1 border-b border-line bg-attention/10 px-5 py-2 text-ink"
    >
      <StatusGlyph shape="Dashed" tone="Attention" />
      <strong className="font-strong">{en.connection.strip}</strong>
      <span className="text-ink2">{en.connection.stripDetail(en.time(connection.since), seconds)}</span>
      <Button size="Small" onClick={reconnect} className="ml-auto">
        {en.connection.now}
      </Button>
    </div>
  );
}

function BottomTabs(): ReactElement {
  const { ns } = useSearch({ from: '/app' });
  const pages = usePages();
  const tab = 'flex min-w-0 flex-auto flex-col items-center gap-1 pt-2 pb-1 text-11 font-medium text-ink2';
  const link = ({ to, label, icon: Icon }: (typeof PAGES)[number]): ReactElement => (
    <Link key={to} to={to} search={{ ns }} className={tab} activeProps={{ className: '!text-accent' }}>
      <Icon aria-hidden size={19} />
      {label}
    </Link>
  );
  return (
    <nav aria-label={en.nav.main} className="flex border-t border-line bg-panel pb-[env(safe-area-inset-bottom)]">
      {pages.slice(0, 2).map(link)}
      <Link to="." search={(previous) => ({ ...previous, new: 'machine' })} className={tab}>
        <span className="grid size-[22px] place-items-center rounded-tag bg-primary text-on-primary">
          <Plus aria-hidden size={15} />
        </span>
        {en.nav.new}
      </Link>
      {pages.slice(2).map(link)}
    </nav>
  );
}

export function Mark(): ReactElement {
  return (
    <svg aria-hidden viewBox="0 0 24 24" className="size-6 shrink-0">
      <rect width="24" height="24" rx="6" className="fill-primary" />
      <path
        d="M7.5 4.5v15M12 4.5v15M16.5 4.5v15M4.5 9h15M4.5 15h15"
        className="stroke-on-primary"
        strokeWidth="2"
        strokeLinecap="round"
      />
    </svg>
  );
}
