import { FitAddon } from '@xterm/addon-fit';
import { Unicode11Addon } from '@xterm/addon-unicode11';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { useEffect, useRef, type ReactElement } from 'react';
import { en } from '../../messages/en.ts';
import { ReleaseChord } from './release-chord.ts';
import { TerminalLink, type LinkState, type TerminalKind } from './terminal-link.ts';

const SCROLLBACK_LINES = 5000;

/** A terminal is a tube in both themes: what programs print was chosen for a dark ground. */
const THEME = {
  background: '#050608',
  foreground: '#d6dce5',
  cursor: '#6aa9ff',
  cursorAccent: '#050608',
  selectionBackground: '#6aa9ff55',
  black: '#1b1f26',
  red: '#ff7a66',
  green: '#3ecf9f',
  yellow: '#e8b84a',
  blue: '#6aa9ff',
  magenta: '#a68cff',
  cyan: '#7fd3ff',
  white: '#d6dce5',
  brightBlack: '#7f8a9a',
  brightRed: '#ff9c8c',
  brightGreen: '#6fe0ba',
  brightYellow: '#f2cf7d',
  brightBlue: '#97c3ff',
  brightMagenta: '#c3b1ff',
  brightCyan: '#a8e2ff',
  brightWhite: '#ffffff',
} as const;

/** Opens what a guest printed only where the reader chose to (with Ctrl or ⌘), only the web, and without telling it who came. */
function openLink(event: MouseEvent, uri: string): void {
  if ((event.ctrlKey || event.metaKey) && /^https?:\/\//i.test(uri)) window.open(uri, '_blank', 'noopener,noreferrer');
}

interface TerminalViewProps {
  readonly kind: TerminalKind;
  readonly path: string;
  readonly label: string;
  readonly onState: (state: LinkState) => void;
}

/** xterm.js on a link. There is no clipboard addon: a guest cannot reach the reader's clipboard (OSC 52). */
export function TerminalView({ kind, path, label, onState }: TerminalViewProps): ReactElement {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const terminal = new Terminal({
      fontFamily: "'Geist Mono Variable', ui-monospace, monospace",
      fontSize: 13,
      lineHeight: 1.25,
      scrollback: SCROLLBACK_LINES,
      theme: THEME,
      cursorBlink: true,
      // For the width tables of unicode11 only.
      allowProposedApi: true,
      linkHandler: { activate: openLink },
      convertEol: false,
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.loadAddon(new Unicode11Addon());
    terminal.unicode.activeVersion = '11';
    terminal.loadAddon(new WebLinksAddon(openLink));
    terminal.open(element);
    terminal.textarea?.setAttribute('aria-label', label);

    const chord = new ReleaseChord();
    terminal.attachCustomKeyEventHandler((event) => {
      if (event.type === 'keydown') chord.down(event);
      else if (event.type === 'keyup' && chord.up(event)) terminal.blur();
      return true;
    });

    const link = new TerminalLink(kind, path, {
      reset: () => terminal.reset(),
      write: (bytes) => terminal.write(bytes),
      changed: onState,
    });
    terminal.onData((text) => link.send(text));
    terminal.onResize(({ cols, rows }) => link.resize(cols, rows));
    const sized = new ResizeObserver(() => fit.fit());
    sized.observe(element);
    terminal.focus();
    return () => {
      sized.disconnect();
      link.close();
      terminal.dispose();
    };
  }, [kind, path, label, onState]);
  return (
    <div
      ref={host}
      data-takes-keys
      role="group"
      aria-label={en.terminal.kind}
      className="min-h-0 flex-1 overflow-hidden bg-glass py-2 pl-3"
    />
  );
}
