import type { VirtualMachine } from '@corral/contracts';
import { Button, StatusGlyph, type DisplayStatus, type MachineSays } from '@corral/ui';
import { Play, Plus, Sunrise } from 'lucide-react';
import { lazy, Suspense, useCallback, useState, type ReactElement } from 'react';
import { machinePath } from '../../api/resources.ts';
import { useLocalNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { askPower, askSleep } from '../machines/machine-actions.ts';
import { powerVerbs } from '../machines/machine-verbs.ts';
import { firstLife, nextLife } from './machine-life.ts';
import type { LinkState, TerminalKind } from './terminal-link.ts';

const TerminalView = lazy(async () => ({ default: (await import('./terminal-view.tsx')).TerminalView }));
const KINDS: readonly TerminalKind[] = ['serial', 'shell'];

/** The guest's serial line, or a shell of its own in it. */
export function TerminalTab({
  vm,
  status,
}: {
  readonly vm: VirtualMachine;
  readonly status: DisplayStatus<MachineSays>;
}): ReactElement {
  const [kind, setKind] = useState<TerminalKind>('serial');
  const [link, setLink] = useState<LinkState>({ state: 'Connecting' });
  const [attempt, setAttempt] = useState(0);
  const { namespace = '', name } = vm.metadata;
  const onState = useCallback((state: LinkState) => setLink(state), []);
  const running = ['Running', 'NotReady', 'Paused', 'Pausing', 'Resuming'].includes(status.says);
  const [life, setLife] = useState(() => firstLife(vm));
  const lifeNow = nextLife(life, vm);
  if (lifeNow !== life) setLife(lifeNow);
  // Opening the line of a machine that sleeps would wake it; one that is open stays.
  const [wasOpen, setWasOpen] = useState(false);
  if (running && !wasOpen) setWasOpen(true);
  const asleep = vm.status?.hibernation !== undefined;
  const shown = running || (asleep && wasOpen && kind === 'serial');
  const start = powerVerbs(vm, status).find(({ verb }) => verb === 'start' || verb === 'resume');

  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex h-10 shrink-0 items-center gap-3 border-b border-line bg-panel px-3">
        <div role="group" aria-label={en.terminal.kind} className="flex gap-1">
          {KINDS.map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={kind === one}
              onClick={() => setKind(one)}
              className="h-7 rounded-control px-2.5 font-medium text-ink2 hover:text-ink aria-pressed:bg-hover aria-pressed:text-ink"
            >
              {en.terminal.kinds[one]}
            </button>
          ))}
        </div>
        {shown && asleep ? (
          <p role="status" className="ml-auto flex items-center gap-2 text-12 text-ink2">
            <StatusGlyph shape="Crescent" tone="Asleep" size={10} />
            {en.terminal.asleep}
          </p>
        ) : (
          shown && <LinkLine link={link} kind={kind} onAgain={() => setAttempt((number) => number + 1)} />
        )}
      </div>
      {shown ? (
        <Suspense fallback={<div className="flex-1 bg-glass" />}>
          <TerminalView
            key={`${vm.metadata.uid}/${lifeNow.number}/${kind}/${attempt}`}
            kind={kind}
            path={machinePath(namespace, name, kind === 'serial' ? 'serial' : 'exec')}
            label={en.terminal.label(en.terminal.kinds[kind], name)}
            onState={onState}
          />
        </Suspense>
      ) : (
        <div className="grid flex-1 place-items-center bg-glass p-8 text-on-glass">
          <p className="flex flex-col items-center gap-3 text-center">
            <StatusGlyph shape={status.shape} tone={status.tone} size={20} />
            {en.terminal.notRunning(en.machineSays[status.says])}
            {status.says === 'Hibernated' && (
              <Button icon={<Sunrise aria-hidden size={14} />} onClick={() => askSleep(vm, 'wake')}>
                {en.terminal.wakeAndOpen}
              </Button>
            )}
            {start && (
              <Button icon={<Play aria-hidden size={14} />} onClick={() => askPower(vm, start.powerState)}>
                {start.verb === 'resume' ? en.terminal.resumeAndOpen : en.terminal.startAndOpen}
              </Button>
            )}
          </p>
        </div>
      )}
    </div>
  );
}

function LinkLine({
  link,
  kind,
  onAgain,
}: {
  readonly link: LinkState;
  readonly kind: TerminalKind;
  readonly onAgain: () => void;
}): ReactElement {
  const now = useLocalNow();
  const seconds = link.state === 'Reconnecting' ? Math.max(0, Math.ceil((link.retryAt - now.getTime()) / 1000)) : 0;
  return (
    <p role="status" className="ml-auto flex items-center gap-2 text-12 text-ink2">
      {link.state === 'Connected' && (
        <>
          <StatusGlyph shape="Disc" tone="Good" size={10} />
          {link.silent && kind === 'serial' ? en.terminal.silent : en.terminal.connected}
        </>
      )}
      {link.state === 'Connecting' && (
        <>
          <StatusGlyph shape="Arc" tone="Motion" size={10} />
          {en.terminal.connecting}
        </>
      )}
      {link.state === 'Reconnecting' && (
        <>
          <StatusGlyph shape="Dashed" tone="Attention" size={10} />
          {en.terminal.reconnecting(seconds)}
        </>
      )}
      {link.state === 'Ended' && (
        <>
          {en.terminal.closed} {link.message}
          <Button size="Small" icon={<Plus aria-hidden size={13} />} onClick={onAgain}>
            {en.terminal.again}
          </Button>
        </>
      )}
    </p>
  );
}
