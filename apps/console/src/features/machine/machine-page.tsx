import { apiPath, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import {
  Button,
  classNames,
  formatLongDuration,
  Kbd,
  Skeleton,
  type DisplayStatus,
  type MachineSays,
} from '@corral/ui';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { Camera, ChevronLeft, GitFork } from 'lucide-react';
import { lazy, Suspense, useEffect, useState, type ReactElement } from 'react';
import { asRefusal, type Refusal } from '../../api/refusal.ts';
import { MACHINES, SNAPSHOTS } from '../../api/resources.ts';
import { ActionsMenu } from '../../app/actions-menu.tsx';
import { CopyButton } from '../../app/copy.tsx';
import { useKeys } from '../../app/keys.ts';
import { usePhone, useWide } from '../../app/media.ts';
import { ListTrouble, Trouble } from '../../app/trouble.tsx';
import { dismissIntent, useIntents } from '../../live/intents.ts';
import { useCollection, useOnline } from '../../live/live.ts';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { askPower, askSleep, machineActions, VERB_ICONS } from '../machines/machine-actions.ts';
import { rowOf } from '../machines/machine-rows.ts';
import { canFork, canSnapshot, powerVerbs, sleepVerb, type PowerVerb, type SleepVerb } from '../machines/machine-verbs.ts';
import { reasonText, StatusChip } from '../machines/status-words.tsx';
import { useNodesByName } from '../machines/use-machines.ts';
import { sharersOf } from '../memory/memory-figures.ts';
import { SnapshotTable } from '../snapshots/snapshot-table.tsx';
import { snapshotNow } from '../snapshots/take-snapshot.ts';
import { AuditLink } from '../audit/audit-link.tsx';
import { EventList } from './events-tab.tsx';
import { FilesTab } from './files-tab.tsx';
import { Inspector } from './inspector.tsx';
import { MachineTabs, PhoneTabs, TABS, type Tab } from './machine-tabs.tsx';
import { ScreenTab } from './screen-tab.tsx';
import { Timeline } from './timeline.tsx';
import { TerminalTab } from './terminal-tab.tsx';
import { useSnapshots } from '../snapshots/use-snapshots.ts';

const ForkDialog = lazy(async () => ({ default: (await import('./fork-dialog.tsx')).ForkDialog }));
const DeleteDialog = lazy(async () => ({ default: (await import('../machines/delete-dialog.tsx')).DeleteDialog }));

interface Loaded {
  readonly vm: VirtualMachine;
  readonly status: DisplayStatus<MachineSays>;
  readonly snapshots: readonly VirtualMachineSnapshot[];
  /** How many other machines hold the memory it shares. */
  readonly sharers: number;
}

export function MachinePage(): ReactElement {
  const { namespace, name } = useParams({ from: '/app/machines/$namespace/$name/$tab' });
  const machines = useCollection<VirtualMachine>(apiPath(MACHINES, namespace));
  const snapshots = useSnapshots(apiPath(SNAPSHOTS, namespace));
  const nodes = useNodesByName();
  const intents = useIntents();
  const now = useNow();
  const found = machines.items.find(({ metadata }) => metadata.name === name);
  // Its events outlive it: they are what one comes back for.
  const [lastUid, setLastUid] = useState<string>();
  if (found && found.metadata.uid !== lastUid) setLastUid(found.metadata.uid);
  const row = found && rowOf(found, nodes, intents.get(found.metadata.uid), now);
  const intent = found && intents.get(found.metadata.uid);
  const own = snapshots.items.filter(({ spec }) => spec?.virtualMachine === name);

  useEffect(() => {
    document.title = en.pageTitle(name, row?.status.says === 'Failed' ? 1 : 0);
  }, [name, row?.status.says]);

  if (!row) {
    return (
      <main id="content" tabIndex={-1} className="flex min-h-0 flex-1 flex-col gap-4 overflow-y-auto p-5 outline-none">
        {machines.failure && (
          <ListTrouble what={en.machines.what} failure={machines.failure} onRetry={machines.retry} />
        )}
        {machines.loaded ? (
          <Gone namespace={namespace} name={name} uid={lastUid} snapshots={own} />
        ) : (
          <Skeleton className="h-[60vh] w-full" />
        )}
      </main>
    );
  }
  return <MachineView vm={row.vm} status={row.status} snapshots={own} sharers={sharersOf(row.vm, machines.items)} refusal={intent?.refusal} />;
}

function Gone({
  namespace,
  name,
  uid,
  snapshots,
}: {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
  readonly snapshots: readonly VirtualMachineSnapshot[];
}): ReactElement {
  return (
    <>
      <h1 className="text-17">{en.machine.gone(name)}</h1>
      <p className="text-ink2">
        {en.machine.goneHint}{' '}
        <Link to="/machines" search={(previous) => ({ ns: previous.ns })} className="text-accent hover:underline">
          {en.machine.back}
        </Link>
      </p>
      {snapshots.length > 0 && (
        <>
          <h2 className="text-15">{en.machine.previous}</h2>
          <SnapshotTable snapshots={snapshots} showMachine={false} />
        </>
      )}
      {uid && (
        <>
          <h2 className="text-15">{en.machine.goneEvents}</h2>
          <EventList namespace={namespace} uid={uid} />
        </>
      )}
    </>
  );
}

function MachineView({
  vm,
  status,
  snapshots,
  sharers,
  refusal,
}: Loaded & { readonly refusal: Refusal | undefined }): ReactElement {
  const navigate = useNavigate();
  const { tab: asked } = useParams({ from: '/app/machines/$namespace/$name/$tab' });
  const phone = usePhone();
  const wide = useWide();
  const now = useNow();
  const online = useOnline();
  const [deleting, setDeleting] = useState(false);
  const [forking, setForking] = useState(false);
  const [momentUid, setMomentUid] = useState<string>();
  const [snapshotRefusal, setSnapshotRefusal] = useState<Refusal>();
  const { namespace = '', name, uid } = vm.metadata;

  const known = (TABS as readonly string[]).includes(asked) ? (asked as Tab) : 'screen';
  const tab = known === 'overview' && wide ? 'screen' : known;
  const tabs = TABS.filter((one) => one !== 'overview' || !wide);
  const open = (next: Tab): void =>
    void navigate({
      to: '/machines/$namespace/$name/$tab',
      params: { namespace, name, tab: next },
      search: (previous) => ({ ns: previous.ns }),
    });

  const verbs = powerVerbs(vm, status);
  const first = verbs[0];
  const asleep = sleepVerb(vm, status)?.verb === 'wake';
  const snapshot = (): void => {
    setSnapshotRefusal(undefined);
    void snapshotNow(vm).then(
      // Where the inspector does not show it appear, its own tab does.
      () => (wide ? undefined : open('snapshots')),
      (error: unknown) => setSnapshotRefusal(asRefusal(error)),
    );
  };
  useKeys({
    s: () => online && canSnapshot(status) && snapshot(),
    p: () => online && first && (first.verb === 'pause' || first.verb === 'resume') && askPower(vm, first.powerState),
    f: () => online && canFork(status) && setForking(true),
    t: () => open('terminal'),
    Delete: () => setDeleting(true),
    Escape: () => void navigate({ to: '/machines', search: (previous) => ({ ns: previous.ns }) }),
  });

  // A phone has no timeline beside the screen: it shows what is chosen itself.
  const moment = phone ? undefined : snapshots.find(({ metadata }) => metadata.uid === momentUid);
  const timeline = (withPicture: boolean): ReactElement => (
    <Timeline key={uid} vm={vm} snapshots={snapshots} snapshottable={canSnapshot(status)} chosenUid={momentUid} onChoose={setMomentUid} withPicture={withPicture} />
  );
  const reason = reasonText(status, now);
  const where =
    vm.status?.nodeName && vm.status.startedAt
      ? en.machine.on(formatLongDuration(now.getTime() - Date.parse(vm.status.startedAt)), vm.status.nodeName)
      : (vm.status?.nodeName ?? '');
  return (
    <main id="content" tabIndex={-1} className="flex min-h-0 flex-1 flex-col outline-none">
      <div className="flex min-h-[51px] shrink-0 items-center gap-3 border-b border-line px-5 py-2 max-phone:px-3">
        {phone ? (
          <Link
            to="/machines"
            search={(previous) => ({ ns: previous.ns })}
            aria-label={en.machine.back}
            className="grid size-9 shrink-0 place-items-center rounded-control text-ink2"
          >
            <ChevronLeft aria-hidden size={18} />
          </Link>
        ) : (
          <span className="flex items-center gap-2 text-ink2">
            <Link to="/machines" search={(previous) => ({ ns: previous.ns })} className="rounded-tag hover:text-ink">
              {en.machines.title}
            </Link>
            <span aria-hidden>/</span>
          </span>
        )}
        <span className={classNames('flex min-w-0 items-center gap-2', phone && 'flex-1 flex-wrap gap-y-0')}>
          <h1 className="truncate text-15">{name}</h1>
          {!phone && <CopyButton text={name} label={en.machine.copyName} />}
          <StatusChip status={status} label={en.machineSays[status.says]} />
        </span>
        {!phone && (
          <span className="min-w-0 flex-1 truncate text-ink2" title={[reason, where].filter(Boolean).join(', ')}>
            {[reason, where].filter(Boolean).join(', ')}
          </span>
        )}
        {asleep && !phone && (
          <Button icon={<VerbIcon verb="wake" />} disabled={!online} onClick={() => askSleep(vm, 'wake')}>
            {en.verbs.wake}
          </Button>
        )}
        {first && !asleep && !phone && (
          <Button
            icon={<VerbIcon verb={first.verb} />}
            disabled={!online}
            onClick={() => askPower(vm, first.powerState)}
          >
            {first.label}
          </Button>
        )}
        {!phone && (
          <Button icon={<Camera aria-hidden size={15} />} disabled={!online || !canSnapshot(status)} onClick={snapshot}>
            {en.verbs.snapshot}
            <Kbd>S</Kbd>
          </Button>
        )}
        {!phone && (
          <Button look="Primary" icon={<GitFork aria-hidden size={15} />} disabled={!online || !canFork(status)} onClick={() => setForking(true)}>
            {en.verbs.fork}
            <Kbd>F</Kbd>
          </Button>
        )}
        <ActionsMenu
          label={en.verbs.more}
          className="border border-line2 !size-8"
          actions={() =>
            machineActions(vm, status, {
              snapshot,
              fork: () => setForking(true),
              remove: () => setDeleting(true),
              withoutFirst: !phone && !asleep,
            })
          }
        />
      </div>

      {(refusal ?? snapshotRefusal) && (
        <div className="border-b border-line px-5 py-3 max-phone:px-3">
          <Trouble
            title={en.verbs.refused(refusal ? (first?.label ?? en.verbs.deleteNow) : en.verbs.snapshot)}
            detail={(refusal ?? snapshotRefusal)?.message}
            code={(refusal ?? snapshotRefusal)?.reason}
          >
            <Button
              size="Small"
              className="mt-2"
              onClick={() => {
                dismissIntent(uid);
                setSnapshotRefusal(undefined);
              }}
            >
              {en.close}
            </Button>
          </Trouble>
        </div>
      )}

      <div className="flex min-h-0 flex-1">
        <div className="flex min-h-0 min-w-0 flex-1 flex-col">
          {!phone && <MachineTabs tabs={tabs} tab={tab} snapshots={snapshots.length} onOpen={open} />}
          <section aria-label={en.machine.tabs[tab]} className="flex min-h-0 flex-1 flex-col">
            {tab === 'screen' && <ScreenTab key={uid} vm={vm} status={status} moment={moment} onNow={() => setMomentUid(undefined)} />}
            {tab === 'terminal' && <TerminalTab key={uid} vm={vm} status={status} />}
            {tab === 'files' && <FilesTab key={uid} vm={vm} status={status} />}
            {tab === 'screen' && !phone && timeline(false)}
            {tab === 'snapshots' && (
              <div className="min-h-0 flex-1 overflow-y-auto">
                {timeline(true)}
                <div className="p-5 max-phone:px-4">
                  {snapshots.length === 0 ? (
                    <p className="py-8 text-center text-ink2">
                      {en.snapshots.none} {en.snapshots.noneHint}
                    </p>
                  ) : (
                    <SnapshotTable snapshots={snapshots} showMachine={false} />
                  )}
                </div>
              </div>
            )}
            {tab === 'events' && (
              <div className="flex min-h-0 flex-1 flex-col gap-3 overflow-y-auto p-5 max-phone:px-4">
                <div className="self-end">
                  <AuditLink namespace={namespace} resource={MACHINES.plural} name={vm.metadata.name} />
                </div>
                <EventList namespace={namespace} uid={uid} />
              </div>
            )}
            {tab === 'overview' && (
              <div className="min-h-0 flex-1 overflow-y-auto">
                <Inspector vm={vm} snapshots={snapshots} sharers={sharers} />
              </div>
            )}
          </section>
        </div>
        {wide && (
          <aside aria-label={en.machine.details} className="w-[316px] shrink-0 overflow-y-auto border-l border-line">
            <Inspector vm={vm} snapshots={snapshots} sharers={sharers} />
          </aside>
        )}
      </div>
      {phone && tab === 'overview' && first && (
        <div className="flex gap-2 border-t border-line p-3">
          <Button size="Touch" className="flex-1" disabled={!online} onClick={() => askPower(vm, first.powerState)}>
            {first.label}
          </Button>
          <Button size="Touch" className="flex-1" disabled={!online || !canSnapshot(status)} onClick={snapshot}>
            {en.verbs.snapshot}
          </Button>
          <Button size="Touch" look="Primary" className="flex-1" disabled={!online || !canFork(status)} onClick={() => setForking(true)}>
            {en.verbs.fork}
          </Button>
        </div>
      )}
      {phone && <PhoneTabs tab={tab} namespace={namespace} name={name} />}
      <Suspense>
        {forking && <ForkDialog vm={vm} onClose={() => setForking(false)} />}
        {deleting && (
          <DeleteDialog
            machines={[vm]}
            snapshottable={canSnapshot(status)}
            onClose={() => setDeleting(false)}
            onDeleted={() => void navigate({ to: '/machines', search: (previous) => ({ ns: previous.ns }) })}
          />
        )}
      </Suspense>
    </main>
  );
}

function VerbIcon({ verb }: { readonly verb: PowerVerb['verb'] | SleepVerb['verb'] }): ReactElement {
  const Icon = VERB_ICONS[verb];
  return <Icon aria-hidden size={14} />;
}
