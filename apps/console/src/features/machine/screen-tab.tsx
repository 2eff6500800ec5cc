import type { VirtualMachine, VirtualMachineSnapshot } from '@corral/contracts';
import { Button, classNames, IconButton, StatusGlyph, type DisplayStatus, type MachineSays } from '@corral/ui';
import { ClipboardPaste, Expand, Play, Sunrise, TextSelect } from 'lucide-react';
import {
  useEffect,
  useMemo,
  useRef,
  useState,
  type ClipboardEvent,
  type KeyboardEvent,
  type PointerEvent,
  type ReactElement,
} from 'react';
import { asRefusal } from '../../api/refusal.ts';
import { send } from '../../api/request.ts';
import { machinePath } from '../../api/resources.ts';
import { copyText } from '../../app/copy.tsx';
import { usePhone } from '../../app/media.ts';
import { notify } from '../../app/notices.tsx';
import { en } from '../../messages/en.ts';
import { askPower, askSleep } from '../machines/machine-actions.ts';
import { isWaking, powerVerbs, showsScreen, takesInput } from '../machines/machine-verbs.ts';
import { InputSender } from './input-sender.ts';
import { ReleaseChord } from './release-chord.ts';
import { inputOfKey, splitText, toScreen, type ScreenInput } from './screen-input.ts';
import { StoredScreen } from './stored-screen.tsx';
import { useStill } from './use-still.ts';

const BUTTONS = ['left', 'middle', 'right'] as const;
/** A wheel event of a mouse is about this many pixels a notch. */
const WHEEL_PX = 100;
const PHONE_KEYS = [
  'Escape',
  'Tab',
  'ControlLeft',
  'AltLeft',
  'ArrowUp',
  'ArrowDown',
  'ArrowLeft',
  'ArrowRight',
  'Enter',
] as const;

const PICTURE = 'max-h-[calc(100dvh-300px)] max-w-full object-contain [image-rendering:auto]';

/** The machine's screen: look, type and point. Nothing floats over guest pixels. */
export function ScreenTab({
  vm,
  status,
  moment,
  onNow,
}: {
  readonly vm: VirtualMachine;
  readonly status: DisplayStatus<MachineSays>;
  /** What it showed then is looked at instead; nothing is typed into the past. */
  readonly moment: VirtualMachineSnapshot | undefined;
  readonly onNow: () => void;
}): ReactElement {
  const phone = usePhone();
  const canvas = useRef<HTMLCanvasElement>(null);
  const stage = useRef<HTMLDivElement>(null);
  const [focused, setFocused] = useState(false);
  const chord = useRef(new ReleaseChord());
  const { namespace = '', name } = vm.metadata;

  const live = showsScreen(status);
  const asleep = status.says === 'Hibernated';
  const waking = isWaking(vm, status);
  // What is typed wakes it up, and waits for it: all of it.
  const typable = !moment && takesInput(vm, status);
  const { still, refusal, hurry } = useStill(canvas, machinePath(namespace, name, 'screenshot'), live, asleep);
  const sender = useMemo(
    () =>
      new InputSender(machinePath(namespace, name, 'input'), {
        sent: hurry,
        failed: (error) => notify({ text: en.screen.inputRefused, detail: asRefusal(error).message, error: true }),
      }),
    [namespace, name, hurry],
  );
  const push = (input: ScreenInput | undefined): void => {
    if (!input || !typable) return;
    hurry();
    sender.push(input);
  };

  const keyDown = (event: KeyboardEvent<HTMLDivElement>): void => {
    if (!typable) return;
    chord.current.down(event);
    const input = inputOfKey(event.nativeEvent);
    // Pasting must reach the page to be turned into typing.
    if ((event.ctrlKey || event.metaKey) && event.shiftKey && event.code === 'KeyV') return;
    event.preventDefault();
    event.stopPropagation();
    push(input);
  };
  const keyUp = (event: KeyboardEvent<HTMLDivElement>): void => {
    if (chord.current.up(event)) stage.current?.blur();
  };
  const pointer =
    (action: 'move' | 'down' | 'up') =>
    (event: PointerEvent<HTMLCanvasElement>): void => {
      if (!still || !typable || (action === 'move' && (!focused || asleep))) return;
      if (action === 'down') stage.current?.focus();
      push({
        type: 'mouse',
        ...toScreen({ x: event.clientX, y: event.clientY }, event.currentTarget.getBoundingClientRect(), still),
        action,
        ...(action === 'move' ? {} : { button: BUTTONS[event.button] ?? 'left' }),
      });
    };

  // React listens to wheels passively, and a passive listener cannot keep the page from scrolling.
  useEffect(() => {
    const target = canvas.current;
    if (!target || !focused || !still) return undefined;
    const wheel = (event: WheelEvent): void => {
      event.preventDefault();
      const notches = Math.max(-10, Math.min(10, Math.round(event.deltaY / WHEEL_PX)));
      if (notches !== 0)
        sender.push({
          type: 'mouse',
          ...toScreen({ x: event.clientX, y: event.clientY }, target.getBoundingClientRect(), still),
          action: 'move',
          wheel: notches,
        });
    };
    target.addEventListener('wheel', wheel, { passive: false });
    return () => target.removeEventListener('wheel', wheel);
  }, [focused, still, sender]);

  const paste = (text: string): void => splitText(text.replaceAll('\r\n', '\n')).forEach(push);
  const copyScreenText = async (): Promise<void> => {
    try {
      const response = await send(machinePath(namespace, name, 'screenshot?format=text'));
      await copyText(await response.text());
      notify({ text: en.copied });
    } catch (error) {
      notify({ text: en.screen.noText, detail: asRefusal(error).message });
    }
  };

  const start = powerVerbs(vm, status).find(({ verb }) => verb === 'start' || verb === 'resume');
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="relative flex min-h-0 flex-1 items-center justify-center bg-[radial-gradient(ellipse_at_top,var(--color-panel),var(--color-canvas))] p-3 max-phone:min-h-56 max-phone:flex-none max-phone:p-0">
        <div
          ref={stage}
          role="application"
          aria-label={en.screen.label(name)}
          tabIndex={0}
          data-takes-keys
          onFocus={() => setFocused(true)}
          onBlur={() => setFocused(false)}
          onKeyDown={keyDown}
          onKeyUp={keyUp}
          onPaste={(event: ClipboardEvent) => paste(event.clipboardData.getData('text/plain'))}
          className={classNames(
            'relative flex max-h-full max-w-full items-center justify-center overflow-hidden rounded-control border-2 bg-glass outline-none max-phone:w-full max-phone:rounded-none max-phone:border-x-0',
            moment ? 'border-attention' : focused && typable ? 'border-accent' : 'border-line',
            // One grid for picture and words: the stage keeps its place when one replaces the other.
            still ? '' : 'aspect-[8/5] h-full max-phone:h-auto max-phone:w-full',
          )}
        >
          <canvas
            ref={canvas}
            width={720}
            height={400}
            aria-hidden
            onPointerDown={pointer('down')}
            onPointerUp={pointer('up')}
            onPointerMove={pointer('move')}
            onContextMenu={(event) => event.preventDefault()}
            className={classNames(
              'block',
              PICTURE,
              (!still || moment) && 'hidden',
              (!typable || asleep || waking) && 'opacity-45',
              asleep && 'grayscale',
              typable && 'cursor-crosshair',
            )}
            style={still ? { width: Math.max(still.width, 1) * scaleOf(still.width) } : undefined}
          />
          {moment && <StoredScreen key={moment.metadata.uid} snapshot={moment} scale={scaleOf} className={PICTURE} />}
          {!still && !moment && (
            <p className="flex flex-col items-center gap-3 p-8 text-center text-on-glass">
              <StatusGlyph shape={status.shape} tone={status.tone} size={20} />
              <span>
                {live
                  ? refusal
                    ? refusal.message
                    : en.screen.startsNow
                  : start
                    ? en.screen.stopped(en.machineSays[status.says])
                    : en.screen.startsNow}
              </span>
            </p>
          )}
        </div>
      </div>

      <div className="flex min-h-11 flex-wrap items-center justify-center gap-x-3 gap-y-1 border-t border-line bg-panel px-4 py-1.5 text-ink2">
        <span role="status" className="flex min-w-0 items-center gap-2">
          {moment ? (
            <>
              <span className="text-attention">{en.screen.preview(new Date(moment.metadata.creationTimestamp))}</span>
              {status.says === 'Running' && <span className="text-ink3">{en.screen.runsOn}</span>}
              <Button size="Small" onClick={onNow}>
                {en.screen.backToNow}
              </Button>
            </>
          ) : asleep ? (
            <>
              <StatusGlyph shape={status.shape} tone={status.tone} />
              {en.machineSays[status.says]}
              <span className="text-ink3">{en.screen.asleep}</span>
              <Button size="Small" icon={<Sunrise aria-hidden size={13} />} onClick={() => askSleep(vm, 'wake')}>
                {en.verbs.wake}
              </Button>
            </>
          ) : typable && !waking ? (
            focused ? (
              <>
                <span className="text-accent">{en.screen.yours}</span>
                <Button size="Small" onClick={() => stage.current?.blur()}>
                  {en.screen.release}
                  <kbd className="font-mono text-11 text-ink3">{en.screen.releaseKeys}</kbd>
                </Button>
              </>
            ) : (
              en.screen.hint
            )
          ) : (
            <>
              <StatusGlyph shape={status.shape} tone={status.tone} />
              {en.machineSays[status.says]}
              {waking && <span className="text-ink3">{en.screen.waking}</span>}
              {still && live && <span className="text-ink3">{en.screen.asItWas}</span>}
              {start && (
                <Button
                  size="Small"
                  icon={<Play aria-hidden size={13} />}
                  onClick={() => askPower(vm, start.powerState)}
                >
                  {start.label}
                </Button>
              )}
            </>
          )}
        </span>
        <span className="ml-auto flex items-center gap-1 max-phone:ml-0">
          {still && !moment && (
            <span className="px-2 text-12 text-ink3 tabular-nums">
              {en.screen.size(still.width, still.height, still.milliseconds)}
            </span>
          )}
          <Button
            size="Small"
            look="Quiet"
            disabled={!typable}
            onClick={() => push({ type: 'keys', codes: ['ControlLeft', 'AltLeft', 'Delete'] })}
          >
            {en.screen.ctrlAltDel}
          </Button>
          <IconButton
            label={en.screen.paste}
            disabled={!typable}
            onClick={() => void navigator.clipboard.readText().then(paste, () => stage.current?.focus())}
          >
            <ClipboardPaste aria-hidden size={15} />
          </IconButton>
          <IconButton label={en.screen.copyText} disabled={!live} onClick={() => void copyScreenText()}>
            <TextSelect aria-hidden size={15} />
          </IconButton>
          <IconButton
            label={en.screen.fullScreen}
            onClick={() => void stage.current?.requestFullscreen().then(() => stage.current?.focus())}
          >
            <Expand aria-hidden size={15} />
          </IconButton>
        </span>
      </div>
      {phone && typable && <PhoneKeys onInput={push} />}
    </div>
  );
}

/** Small text screens are drawn larger, by whole steps where there is room. */
function scaleOf(width: number): number {
  return width <= 400 ? 2.5 : width <= 800 ? 1.4 : 1;
}

/** Keys a phone's keyboard lacks; Ctrl and Alt stay down for the next key. */
function PhoneKeys({ onInput }: { readonly onInput: (input: ScreenInput) => void }): ReactElement {
  const [held, setHeld] = useState<readonly string[]>([]);
  const [text, setText] = useState('');
  const press = (code: (typeof PHONE_KEYS)[number]): void => {
    if (code === 'ControlLeft' || code === 'AltLeft') {
      setHeld((codes) => (codes.includes(code) ? codes.filter((other) => other !== code) : [...codes, code]));
      return;
    }
    onInput({ type: 'keys', codes: [...held, code] });
    setHeld([]);
  };
  return (
    <div className="flex flex-col gap-2 border-t border-line p-3">
      <div role="group" aria-label={en.screen.keyboard} className="grid grid-cols-9 gap-1.5">
        {PHONE_KEYS.map((code) => (
          <button
            key={code}
            type="button"
            aria-label={en.screen.keyNames[code]}
            aria-pressed={held.includes(code)}
            onClick={() => press(code)}
            className="h-11 rounded-control border border-line2 bg-raised text-12 font-medium aria-pressed:border-accent aria-pressed:bg-accent aria-pressed:text-canvas"
          >
            {en.screen.keys[code]}
          </button>
        ))}
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text !== '') onInput({ type: 'text', text });
          onInput({ type: 'keys', codes: ['Enter'] });
          setText('');
        }}
      >
        <input
          value={text}
          autoCapitalize="off"
          autoCorrect="off"
          spellCheck={false}
          aria-label={en.screen.type}
          placeholder={en.screen.typePlaceholder}
          onChange={({ target }) => {
            const last = target.value.at(-1);
            // With Ctrl or Alt held, the next character is a chord, not text.
            if (held.length > 0 && last && /[a-z0-9]/i.test(last)) {
              onInput({
                type: 'keys',
                codes: [...held, /\d/.test(last) ? `Digit${last}` : `Key${last.toUpperCase()}`],
              });
              setHeld([]);
              return;
            }
            setText(target.value);
          }}
          className="h-11 w-full rounded-control border border-edge bg-canvas px-3 text-[16px]"
        />
      </form>
    </div>
  );
}
