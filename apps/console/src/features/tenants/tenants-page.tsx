import {
  apiPath,
  parseQuantity,
  type Namespace,
  type ResourceQuota,
  type RoleBinding,
  type VirtualMachine,
} from '@corral/contracts';
import { Button, buttonClass, formatSize, Meter, Skeleton, StatusGlyph } from '@corral/ui';
import { Link } from '@tanstack/react-router';
import { Building2, Plus } from 'lucide-react';
import { lazy, Suspense, useState, type ReactElement } from 'react';
import { MACHINES, NAMESPACES, QUOTAS, ROLE_BINDINGS } from '../../api/resources.ts';
import { useKeys } from '../../app/keys.ts';
import { useDefaultNamespace } from '../../app/namespace.ts';
import { EmptyState, Page } from '../../app/page.tsx';
import { ListTrouble } from '../../app/trouble.tsx';
import { useCollection } from '../../live/live.ts';
import { en } from '../../messages/en.ts';
import { quotaLines } from './quota-lines.ts';

const NewTenantDialog = lazy(async () => ({ default: (await import('./new-tenant-dialog.tsx')).NewTenantDialog }));

/** Who may use how much? */
export function TenantsPage(): ReactElement {
  const [isNew, setNew] = useState(false);
  const namespaces = useCollection<Namespace>(apiPath(NAMESPACES));
  const bindings = useCollection<RoleBinding>(apiPath(ROLE_BINDINGS));
  const quotas = useCollection<ResourceQuota>(apiPath(QUOTAS));
  const machines = useCollection<VirtualMachine>(apiPath(MACHINES));
  const sorted = [...namespaces.items].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  useKeys({ n: () => setNew(true) });
  const parts = [
    [en.tenants.what, namespaces],
    [en.tenants.bindingsWhat, bindings],
    [en.tenants.quotasWhat, quotas],
    [en.machines.what, machines],
  ] as const;
  return (
    <Page
      title={en.tenants.title}
      actions={
        <Button look="Primary" icon={<Plus aria-hidden size={14} />} onClick={() => setNew(true)}>
          {en.tenants.new}
        </Button>
      }
    >
      <div className="flex min-h-0 flex-1 flex-col gap-4 overflow-y-auto px-5 py-4 max-phone:px-4">
        {parts.map(
          ([what, { failure, retry }]) =>
            failure && <ListTrouble key={what} what={what} failure={failure} onRetry={retry} />,
        )}
        {!namespaces.loaded ? (
          !namespaces.failure && <Skeleton className="h-48 w-full" />
        ) : sorted.length === 0 ? (
          <EmptyState icon={<Building2 size={26} />} title={en.tenants.none} hint={en.tenants.noneHint} />
        ) : (
          <ul
            aria-label={en.tenants.list}
            className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,400px),1fr))] gap-4"
          >
            {sorted.map((namespace) => (
              <TenantCard
                key={namespace.metadata.uid}
                namespace={namespace}
                bindings={
                  bindings.loaded
                    ? bindings.items.filter(({ metadata }) => metadata.namespace === namespace.metadata.name)
                    : undefined
                }
                quotas={quotas.items.filter(({ metadata }) => metadata.namespace === namespace.metadata.name)}
                machines={
                  machines.loaded
                    ? machines.items.filter(({ metadata }) => metadata.namespace === namespace.metadata.name)
                    : undefined
                }
              />
            ))}
          </ul>
        )}
      </div>
      <Suspense>
        {isNew && <NewTenantDialog taken={sorted.map(({ metadata }) => metadata.name)} onClose={() => setNew(false)} />}
      </Suspense>
    </Page>
  );
}

function TenantCard({
  namespace,
  bindings,
  quotas,
  machines,
}: {
  readonly namespace: Namespace;
  /** Undefined while they are not known: that is not "none". */
  readonly bindings: readonly RoleBinding[] | undefined;
  readonly quotas: readonly ResourceQuota[];
  readonly machines: readonly VirtualMachine[] | undefined;
}): ReactElement {
  const { name, deletionTimestamp } = namespace.metadata;
  const usual = useDefaultNamespace();
  const ns = name === usual ? undefined : name;
  const running = machines?.filter(({ status }) => status?.phase === 'Running').length;
  const lines = quotas.flatMap((quota) => quotaLines(quota));
  return (
    <li className="flex flex-col gap-4 rounded-card border border-line2 bg-panel p-4">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <h2 className="min-w-0 truncate text-15">{name}</h2>
        <span className="flex items-center gap-1.5 text-12 text-ink2">
          <StatusGlyph
            shape={deletionTimestamp ? 'Arc' : 'Disc'}
            tone={deletionTimestamp ? 'Motion' : 'Good'}
            size={10}
          />
          {deletionTimestamp ? en.tenants.terminating : en.tenants.active}
        </span>
        <span className="flex-1" />
        <Link to="/machines" search={{ ns }} className={buttonClass('Plain', 'Small')}>
          {machines === undefined ? en.machines.title : en.tenants.machines(machines.length, running ?? 0)}
        </Link>
        <Link to="/audit" search={{ ns }} className={buttonClass('Plain', 'Small')} aria-label={en.audit.of(name)}>
          {en.audit.title}
        </Link>
      </div>
      <section aria-label={en.tenants.quotaOf(name)} className="flex flex-col gap-2.5">
        {lines.length === 0 && <p className="text-12 text-ink3">{en.tenants.noQuota}</p>}
        {lines.map(({ resource, used, hard, isBytes }) => {
          const words = (text: string): string => (isBytes ? formatSize(parseQuantity(text) ?? 0) : text);
          const [value, total] = [parseQuantity(used) ?? 0, parseQuantity(hard) ?? 0];
          return (
            <div key={resource} className="flex flex-col gap-1 text-12">
              <p className="flex items-baseline justify-between gap-3">
                <span className="truncate text-ink2" title={resource}>
                  {en.tenants.resources[resource] ?? resource}
                </span>
                <span className={value >= total ? 'text-bad' : undefined}>
                  {en.machines.of(words(used), words(hard))}
                </span>
              </p>
              <Meter
                label={en.tenants.usage(en.tenants.resources[resource] ?? resource, words(used), words(hard))}
                total={Math.max(total, value)}
                parts={[{ label: resource, value, className: value >= total ? 'bg-bad' : 'bg-memory-shared' }]}
              />
            </div>
          );
        })}
      </section>
      <section aria-label={en.tenants.bindingsOf(name)} className="border-t border-line pt-3 text-12">
        {bindings === undefined ? (
          <p className="text-ink3">{en.unknown}</p>
        ) : bindings.length === 0 ? (
          <p className="text-ink3">{en.tenants.noBindings}</p>
        ) : (
          <ul className="flex flex-col gap-1.5">
            {bindings.map((binding) => (
              <li key={binding.metadata.uid} className="flex gap-3">
                <span className="shrink-0 font-medium">{binding.roleRef.name}</span>
                <span className="min-w-0 break-all text-ink2">
                  {(binding.subjects ?? []).map((subject) => subject.name).join(', ') || en.none}
                </span>
              </li>
            ))}
          </ul>
        )}
      </section>
    </li>
  );
}
