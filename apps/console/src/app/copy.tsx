import { IconButton } from '@corral/ui';
import { Check, Copy } from 'lucide-react';
import { useState, type ReactElement } from 'react';
import { en } from '../messages/en.ts';

const SHOWN_MS = 1500;

/** Copies, and says so in its own place. */
export function CopyButton({
  text,
  label = en.copy,
  className,
}: {
  readonly text: string;
  readonly label?: string;
  readonly className?: string;
}): ReactElement {
  const [copied, setCopied] = useState(false);
  return (
    <IconButton
      label={copied ? en.copied : label}
      {...(className === undefined ? {} : { className })}
      onClick={(event) => {
        event.stopPropagation();
        void copyText(text).then(() => {
          setCopied(true);
          setTimeout(() => setCopied(false), SHOWN_MS);
        });
      }}
    >
      {copied ? <Check aria-hidden size={14} className="text-good" /> : <Copy aria-hidden size={14} />}
    </IconButton>
  );
}

/** The clipboard works on https and on localhost only; elsewhere the browser refuses. */
export async function copyText(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
}
