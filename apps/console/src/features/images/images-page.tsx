import { findCondition, type VirtualMachine, type VirtualMachineImage } from '@corral/contracts';
import { Button, formatSize, imageStatus, Skeleton, StatusGlyph, toneClass } from '@corral/ui';
import { useNavigate } from '@tanstack/react-router';
import { Bot, Disc3, Plus } from 'lucide-react';
import type { ReactElement } from 'react';
import { IMAGES, MACHINES } from '../../api/resources.ts';
import { useCollectionPath } from '../../app/namespace.ts';
import { EmptyState, Page } from '../../app/page.tsx';
import { ListTrouble } from '../../app/trouble.tsx';
import { useCollection } from '../../live/live.ts';
import { en } from '../../messages/en.ts';
import { Thumbnail } from '../machine/thumbnail.tsx';

export function ImagesPage(): ReactElement {
  const images = useCollection<VirtualMachineImage>(useCollectionPath(IMAGES));
  const machines = useCollection<VirtualMachine>(useCollectionPath(MACHINES)).items;
  const sorted = [...images.items].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  return (
    <Page title={en.images.title} failed={sorted.filter((image) => imageStatus(image).says === 'Failed').length}>
      <div className="min-h-0 flex-1 overflow-y-auto px-5 py-4 max-phone:px-4">
        {images.failure && <ListTrouble what={en.images.what} failure={images.failure} onRetry={images.retry} />}
        {!images.loaded ? (
          !images.failure && <Skeleton className="h-56 w-80" />
        ) : sorted.length === 0 ? (
          <EmptyState icon={<Disc3 size={26} />} title={en.images.none} hint={en.images.noneHint} />
        ) : (
          <ul aria-label={en.images.list} className="grid grid-cols-[repeat(auto-fill,minmax(300px,1fr))] gap-4">
            {sorted.map((image) => (
              <ImageCard
                key={image.metadata.uid}
                image={image}
                machines={machines.filter(({ spec }) => spec?.source.image === image.metadata.name)}
              />
            ))}
          </ul>
        )}
      </div>
    </Page>
  );
}

function ImageCard({
  image,
  machines,
}: {
  readonly image: VirtualMachineImage;
  readonly machines: readonly VirtualMachine[];
}): ReactElement {
  const navigate = useNavigate();
  const status = imageStatus(image);
  const { name } = image.metadata;
  const baked = [...new Set((image.status?.goldenSnapshots ?? []).map(({ memoryMiB }) => memoryMiB))].sort(
    (a, b) => a - b,
  );
  const running = machines.find(({ status: of }) => of?.phase === 'Running');
  const ready = findCondition(image.status?.conditions, 'Ready')?.status === 'True';
  return (
    <li className="flex flex-col overflow-hidden rounded-card border border-line2 bg-panel">
      <div className="grid h-40 place-items-center overflow-hidden border-b border-line bg-glass text-on-glass/40">
        {running ? (
          <Thumbnail vm={running} live className="h-full w-full !rounded-none !border-0" />
        ) : (
          <Disc3 aria-hidden size={34} />
        )}
      </div>
      <div className="flex flex-1 flex-col gap-3 p-4">
        <div className="flex items-center gap-2">
          <h2 className="min-w-0 flex-1 truncate text-15">{name}</h2>
          <span className={`flex shrink-0 items-center gap-2 font-medium ${toneClass(status.tone)}`}>
            <StatusGlyph shape={status.shape} tone={status.tone} />
            {en.imageSays[status.says]}
          </span>
        </div>
        {image.spec?.description && <p className="text-ink2">{image.spec.description}</p>}
        {status.reason !== '' && status.says !== 'Ready' && (
          <p className={status.says === 'Failed' ? 'text-bad' : 'text-ink2'}>{status.reason}</p>
        )}
        <ul className="flex flex-col gap-1 text-12 text-ink2">
          <li>
            {baked.length > 0
              ? en.images.baked(baked.map((memoryMiB) => formatSize(memoryMiB * 2 ** 20)))
              : en.images.notBaked}
          </li>
          <li>{en.images.memory((image.spec?.memory ?? '').replace('Mi', ' MiB'))}</li>
          <li className="flex items-center gap-1.5">
            <Bot aria-hidden size={13} />
            {image.spec?.guestAgent ? en.images.agent : en.images.noAgent}
            {image.status?.sizeBytes !== undefined && (
              <span className="ml-auto">{formatSize(image.status.sizeBytes)}</span>
            )}
          </li>
        </ul>
        <div className="mt-auto flex items-center justify-between gap-2 pt-1">
          <span className="text-12 text-ink3">{en.images.usedBy(machines.length)}</span>
          <Button
            size="Small"
            icon={<Plus aria-hidden size={13} />}
            aria-label={en.images.useNamed(name)}
            disabled={!ready}
            onClick={() =>
              void navigate({ to: '.', search: (previous) => ({ ...previous, new: 'machine', image: name }) })
            }
          >
            {en.images.use}
          </Button>
        </div>
      </div>
    </li>
  );
}
