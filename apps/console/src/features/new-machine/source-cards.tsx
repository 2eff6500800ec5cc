import {
  findCondition,
  type VirtualMachine,
  type VirtualMachineImage,
  type VirtualMachineSnapshot,
} from '@corral/contracts';
import { classNames, formatAge, formatSize, imageStatus, StatusGlyph } from '@corral/ui';
import { Check, Disc3, Network } from 'lucide-react';
import type { ReactElement, ReactNode } from 'react';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { Thumbnail } from '../machine/thumbnail.tsx';

interface CardProps {
  readonly name: string;
  readonly detail: ReactNode;
  readonly aside: ReactNode;
  readonly picture: ReactNode;
  readonly chosen: boolean;
  readonly onChoose: () => void;
}

/** A radio button that looks like what it chooses. */
function SourceCard({ name, detail, aside, picture, chosen, onChoose }: CardProps): ReactElement {
  return (
    <label
      className={classNames(
        'relative flex cursor-pointer flex-col overflow-hidden rounded-control border bg-canvas transition-colors duration-80 focus-within:outline-2 focus-within:outline-offset-2 focus-within:outline-accent',
        chosen ? 'border-accent shadow-[0_0_0_1px_var(--color-accent)]' : 'border-line2 hover:border-edge',
      )}
    >
      <input
        type="radio"
        name="source"
        value={name}
        checked={chosen}
        onChange={onChoose}
        className="absolute opacity-0"
      />
      {chosen && (
        <span
          aria-hidden
          className="absolute top-2 right-2 z-10 grid size-5 place-items-center rounded-full bg-accent text-canvas"
        >
          <Check size={13} strokeWidth={3} />
        </span>
      )}
      <span className="grid h-24 place-items-center overflow-hidden border-b border-line bg-glass text-on-glass/50">
        {picture}
      </span>
      <span className="flex flex-col gap-0.5 px-3 py-2">
        <span className="truncate font-medium" title={name}>
          {name}
        </span>
        <span className="flex justify-between gap-2 text-12 text-ink2">
          <span className="truncate">{detail}</span>
          <span className="shrink-0">{aside}</span>
        </span>
      </span>
    </label>
  );
}

const GRID = 'grid grid-cols-[repeat(auto-fill,minmax(170px,1fr))] gap-3';

export function ImageCards({
  images,
  machines,
  chosen,
  onChoose,
}: {
  readonly images: readonly VirtualMachineImage[];
  readonly machines: readonly VirtualMachine[];
  readonly chosen: string | undefined;
  readonly onChoose: (image: VirtualMachineImage) => void;
}): ReactElement {
  if (images.length === 0) return <p className="py-10 text-center text-ink2">{en.newMachine.noImages}</p>;
  return (
    <div role="radiogroup" aria-label={en.newMachine.image} className={GRID}>
      {images.map((image) => {
        const status = imageStatus(image);
        const { name } = image.metadata;
        // The picture of an image is the screen of a machine that runs it, where there is one.
        const shown = machines.find(({ spec, status: of }) => spec?.source.image === name && of?.phase === 'Running');
        return (
          <SourceCard
            key={name}
            name={name}
            detail={image.spec?.description ?? ''}
            aside={
              status.says === 'Ready' ? (
                image.spec?.memory.replace('Mi', ' MiB')
              ) : (
                <StatusNote tone={status.tone} shape={status.shape} label={en.imageSays[status.says]} />
              )
            }
            picture={
              shown ? (
                <Thumbnail vm={shown} live className="h-full w-full !rounded-none !border-0" />
              ) : (
                <Disc3 size={26} />
              )
            }
            chosen={chosen === name}
            onChoose={() => onChoose(image)}
          />
        );
      })}
    </div>
  );
}

function StatusNote({
  label,
  ...look
}: { readonly label: string } & Pick<Parameters<typeof StatusGlyph>[0], 'shape' | 'tone'>): ReactElement {
  return (
    <span className="flex items-center gap-1.5">
      <StatusGlyph {...look} size={10} />
      {label}
    </span>
  );
}

export function SnapshotCards({
  snapshots,
  chosen,
  onChoose,
}: {
  readonly snapshots: readonly VirtualMachineSnapshot[];
  readonly chosen: string | undefined;
  readonly onChoose: (snapshot: VirtualMachineSnapshot) => void;
}): ReactElement {
  const now = useNow();
  const usable = snapshots
    .filter(({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True')
    .sort((a, b) => Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp));
  if (usable.length === 0) return <p className="py-10 text-center text-ink2">{en.newMachine.noSnapshots}</p>;
  return (
    <div role="radiogroup" aria-label={en.newMachine.snapshot} className={GRID}>
      {usable.map((snapshot) => (
        <SourceCard
          key={snapshot.metadata.uid}
          name={snapshot.metadata.name}
          detail={en.ago(formatAge(snapshot.metadata.creationTimestamp, now))}
          aside={formatSize(snapshot.status?.sizeBytes)}
          picture={
            <span className="flex flex-col items-center gap-1.5">
              <Network size={22} />
              <span className="text-12">{snapshot.spec?.virtualMachine}</span>
            </span>
          }
          chosen={chosen === snapshot.metadata.name}
          onChoose={() => onChoose(snapshot)}
        />
      ))}
    </div>
  );
}
