import { classNames } from '@corral/ui';
import { useState, type ReactElement } from 'react';
import type { Command } from '../api/commands.ts';
import { en } from '../messages/en.ts';
import { CopyButton } from './copy.tsx';

const FORMS = ['kubectl', 'curl'] as const;

/** The same action, outside the console. */
export function CommandBlock({
  command,
  className,
}: {
  readonly command: Command;
  readonly className?: string;
}): ReactElement {
  const [form, setForm] = useState<(typeof FORMS)[number]>('kubectl');
  return (
    <section
      aria-label={en.newMachine.command}
      className={classNames('overflow-hidden rounded-control border border-line2', className)}
    >
      <div className="flex items-center gap-1 border-b border-line2 py-1 pr-1 pl-2">
        {FORMS.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={name === form}
            onClick={() => setForm(name)}
            className="h-6 rounded-tag px-2 text-12 text-ink2 hover:text-ink aria-pressed:font-strong aria-pressed:text-ink"
          >
            {en[name]}
          </button>
        ))}
        <CopyButton text={command[form]} className="ml-auto" />
      </div>
      <pre
        tabIndex={0}
        aria-label={en.newMachine.command}
        className="max-h-64 overflow-auto p-3 font-mono text-12 leading-relaxed text-ink2"
      >
        {command[form]}
      </pre>
    </section>
  );
}
