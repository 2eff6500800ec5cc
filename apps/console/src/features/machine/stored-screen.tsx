import { apiPath, type VirtualMachineSnapshot } from '@corral/contracts';
import { classNames } from '@corral/ui';
import { useRef, type ReactElement } from 'react';
import { SNAPSHOTS } from '../../api/resources.ts';
import { en } from '../../messages/en.ts';
import { useStill } from './use-still.ts';

/** What a machine showed when a snapshot of it was taken; words where nothing was kept, or it cannot be had. */
export function StoredScreen({ snapshot, scale, className }: {
  readonly snapshot: VirtualMachineSnapshot;
  /** How large it is drawn; as wide as there is room where absent. */
  readonly scale?: (width: number) => number;
  readonly className?: string;
}): ReactElement {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { namespace, name } = snapshot.metadata;
  const { still, refusal } = useStill(canvas, apiPath(SNAPSHOTS, namespace, name, 'screenshot'), true, true);
  return (
    <>
      <canvas
        ref={canvas}
        role="img"
        aria-label={en.screen.stored(name)}
        width={720}
        height={400}
        className={classNames('block', !still && 'hidden', className)}
        style={still && scale ? { width: still.width * scale(still.width) } : undefined}
      />
      {!still && refusal && <p className="p-6 text-center text-12 text-on-glass">{refusal.reason === 'ScreenUnavailable' ? en.screen.nothingStored : refusal.message}</p>}
    </>
  );
}
