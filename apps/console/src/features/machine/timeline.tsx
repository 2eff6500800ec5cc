import type { VirtualMachine, VirtualMachineSnapshot } from '@corral/contracts';
import { Button, classNames, formatAge, formatSize, IconButton } from '@corral/ui';
import { ChevronLeft, ChevronRight, GitFork, History, X } from 'lucide-react';
import { lazy, Suspense, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactElement, type ReactNode } from 'react';
import { useOnline } from '../../live/live.ts';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { momentsOf, positionsOf, type Moment, type SnapshotKind } from '../snapshots/lineage.ts';
import { useRestore } from '../snapshots/snapshot-table.tsx';
import { StoredScreen } from './stored-screen.tsx';

const RollbackDialog = lazy(async () => ({ default: (await import('../snapshots/rollback-dialog.tsx')).RollbackDialog }));

/** Of the whole width: what a pointer can tell apart. */
const GAP = 0.012;

/** A machine's past, as the moments it can go back to; scrubbing chooses one, and changes nothing by itself. */
export function Timeline({
  vm,
  snapshots,
  snapshottable,
  chosenUid,
  onChoose,
  withPicture = false,
}: {
  readonly vm: VirtualMachine;
  readonly snapshots: readonly VirtualMachineSnapshot[];
  readonly snapshottable: boolean;
  /** Of the moment that is looked at; undefined is now. */
  readonly chosenUid: string | undefined;
  readonly onChoose: (uid: string | undefined) => void;
  /** Whether it shows the moment's screen itself: where no stage beside it does. */
  readonly withPicture?: boolean;
}): ReactElement {
  const now = useNow();
  const online = useOnline();
  const fork = useRestore();
  const track = useRef<HTMLDivElement>(null);
  const [goingBack, setGoingBack] = useState<VirtualMachineSnapshot>();
  const moments = useMemo(() => momentsOf(vm, snapshots), [vm, snapshots]);
  const positions = positionsOf(
    moments.map(({ at }) => at),
    now.getTime(),
    GAP,
  );
  const index = moments.findIndex(({ snapshot }) => snapshot.metadata.uid === chosenUid);
  const chosen = moments[index];
  const choose = (next: number): void => onChoose(moments[next]?.snapshot.metadata.uid);

  const keyDown = (event: KeyboardEvent<HTMLDivElement>): void => {
    // Beyond the last moment lies now, where nothing is chosen.
    const at = index === -1 ? moments.length : index;
    const steps: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => choose(Math.max(0, at - 1)),
      ArrowRight: () => choose(at + 1),
      Home: () => choose(0),
      End: () => choose(moments.length),
      Escape: () => choose(moments.length),
      Enter: () => chosen && fork(chosen.snapshot),
    };
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    step();
  };
  const scrub = (event: PointerEvent<HTMLDivElement>): void => {
    if (event.type === 'pointermove' && event.buttons === 0) return;
    const { left, width } = event.currentTarget.getBoundingClientRect();
    const pointed = (event.clientX - left) / Math.max(1, width);
    const distance = (at: number): number => Math.abs((positions[at] ?? 1) - pointed);
    const nearest = moments.reduce((best, _moment, at) => (distance(at) < distance(best) ? at : best), moments.length);
    choose(nearest);
  };

  if (moments.length === 0) {
    return (
      <section aria-label={en.timeline.label} className="shrink-0 border-y border-line px-5 py-3 text-12 text-ink2 max-phone:px-4">
        {en.timeline.none}
      </section>
    );
  }
  return (
    <section aria-label={en.timeline.label} className="flex shrink-0 flex-col gap-1.5 border-y border-line px-5 py-2.5 max-phone:px-4">
      <div className="flex items-center gap-3 max-phone:gap-1">
        {/* A finger is wider than what lies between two moments. */}
        <Step label={en.timeline.earlier} disabled={index === 0} onStep={() => choose(Math.max(0, (index === -1 ? moments.length : index) - 1))}>
          <ChevronLeft aria-hidden size={18} />
        </Step>
        <div
          ref={track}
          role="slider"
          tabIndex={0}
          aria-label={en.timeline.moments(vm.metadata.name)}
          aria-valuemin={0}
          aria-valuemax={moments.length}
          aria-valuenow={index === -1 ? moments.length : index}
          aria-valuetext={chosen ? describe(chosen, now) : en.timeline.now}
          onKeyDown={keyDown}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            scrub(event);
          }}
          onPointerMove={scrub}
          className="relative h-7 min-w-0 flex-1 cursor-pointer touch-none rounded-tag max-phone:h-11"
        >
          <span aria-hidden className="absolute inset-x-0 top-1/2 h-px bg-line2" />
          {moments.map((moment, at) => (
            <span
              key={moment.snapshot.metadata.uid}
              aria-hidden
              title={describe(moment, now)}
              style={{ left: `${(positions[at] ?? 0) * 100}%` }}
              className={classNames(
                'absolute top-1/2 -translate-x-1/2 -translate-y-1/2',
                LOOKS[moment.kind],
                at === index ? 'border-accent bg-accent outline-2 outline-offset-2 outline-accent' : moment.isOnPath ? 'border-ink2 bg-ink2' : 'border-ink3 bg-canvas',
              )}
            />
          ))}
          <span aria-hidden className="absolute top-1/2 right-0 h-4 w-px -translate-y-1/2 bg-good" />
        </div>
        <span aria-hidden className="shrink-0 text-11 text-ink2 max-phone:hidden">
          {en.timeline.now}
        </span>
        <Step label={en.timeline.later} disabled={index === -1} onStep={() => choose(index + 1)}>
          <ChevronRight aria-hidden size={18} />
        </Step>
      </div>
      {withPicture && chosen && (
        <figure className="self-start overflow-hidden rounded-control border-2 border-attention bg-glass max-phone:self-stretch">
          <StoredScreen
            key={chosen.snapshot.metadata.uid}
            snapshot={chosen.snapshot}
            className="max-h-[34dvh] w-full object-contain [image-rendering:auto]"
          />
          <figcaption className="border-t border-line bg-panel px-3 py-1.5 text-12 text-attention">{en.screen.preview(new Date(chosen.at))}</figcaption>
        </figure>
      )}
      <div className="flex min-h-7 flex-wrap items-center gap-2 text-12">
        {chosen ? (
          <>
            <span className="min-w-0 flex-1 truncate max-phone:-order-2 max-phone:basis-[calc(100%-52px)] max-phone:whitespace-normal" title={en.moment(chosen.snapshot.metadata.creationTimestamp)}>
              <span className="font-medium">
                {en.timeline.chosen(en.timeline.kinds[chosen.kind], chosen.snapshot.metadata.name)}
              </span>{' '}
              <span className="text-ink2">{factsOf(chosen, now)}</span>
            </span>
            <Button size="Small" className={AT_THUMB} icon={<GitFork aria-hidden size={13} />} disabled={!online} onClick={() => fork(chosen.snapshot)}>
              {en.timeline.fork}
            </Button>
            <Button size="Small" className={AT_THUMB} icon={<History aria-hidden size={13} />} disabled={!online} onClick={() => setGoingBack(chosen.snapshot)}>
              {en.timeline.rollBack}
            </Button>
            <IconButton label={en.timeline.clear} className="max-phone:-order-1 max-phone:size-11" onClick={() => choose(moments.length)}>
              <X aria-hidden size={14} />
            </IconButton>
          </>
        ) : (
          <span className="text-ink2">{en.timeline.hint}</span>
        )}
      </div>
      <Suspense>
        {goingBack && (
          <RollbackDialog vm={vm} snapshot={goingBack} snapshottable={snapshottable} onClose={() => setGoingBack(undefined)} />
        )}
      </Suspense>
    </section>
  );
}

/** Buttons that share a phone's width. */
const AT_THUMB = 'max-phone:h-11 max-phone:flex-1 max-phone:text-13';

/** To the moment before or after; only on phones, where nobody has arrow keys. */
function Step({ label, disabled, onStep, children }: {
  readonly label: string;
  readonly disabled: boolean;
  readonly onStep: () => void;
  readonly children: ReactNode;
}): ReactElement {
  return (
    <IconButton label={label} disabled={disabled} onClick={onStep} className="!hidden size-11 max-phone:!inline-flex">
      {children}
    </IconButton>
  );
}

/** Shape alone says what it is: a disc for a checkpoint, a diamond for what somebody named, a stroke for a move or a sleep. */
const LOOKS: Readonly<Record<SnapshotKind, string>> = {
  Checkpoint: 'size-2 rounded-full border',
  Named: 'size-2.5 rotate-45 border',
  Move: 'h-3 w-0.5 border',
  Sleep: 'h-3 w-0.5 border',
};

const factsOf = ({ snapshot, isOnPath }: Moment, now: Date): string =>
  en.timeline.says([
    en.timeline.facts(formatAge(snapshot.metadata.creationTimestamp, now), formatSize(snapshot.status?.sizeBytes)),
    ...(isOnPath ? [] : [en.timeline.aside]),
  ]);

const describe = (moment: Moment, now: Date): string =>
  en.timeline.says([
    en.timeline.chosen(en.timeline.kinds[moment.kind], moment.snapshot.metadata.name),
    factsOf(moment, now),
  ]);
