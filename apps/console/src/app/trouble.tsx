import { Button } from '@corral/ui';
import { Link, type ErrorComponentProps } from '@tanstack/react-router';
import { CircleAlert, RotateCw } from 'lucide-react';
import type { ReactElement, ReactNode } from 'react';
import { asRefusal, Refusal } from '../api/refusal.ts';
import type { WatchFailure } from '../live/reflector.ts';
import { en } from '../messages/en.ts';

interface TroubleProps {
  readonly title: string;
  readonly detail?: string | undefined;
  /** Reason code and request id: small, and for copying. */
  readonly code?: string | undefined;
  readonly onRetry?: (() => void) | undefined;
  readonly children?: ReactNode;
}

/** One part that failed: what did not happen, why, what to do. The rest of the page keeps working. */
export function Trouble({ title, detail, code, onRetry, children }: TroubleProps): ReactElement {
  return (
    <div role="alert" className="flex items-start gap-3 rounded-card border border-line2 bg-panel p-4">
      <CircleAlert aria-hidden size={16} className="mt-0.5 shrink-0 text-bad" />
      <div className="min-w-0 flex-1">
        <p className="font-strong">{title}</p>
        {detail && <p className="mt-0.5 text-ink2 wrap-anywhere">{detail}</p>}
        {code && <p className="mt-1.5 font-mono text-11 text-ink3 select-all wrap-anywhere">{code}</p>}
        {children}
      </div>
      {onRetry && (
        <Button size="Small" icon={<RotateCw aria-hidden size={13} />} onClick={onRetry}>
          {en.retry}
        </Button>
      )}
    </div>
  );
}

/** Why a list cannot be shown. */
export function ListTrouble({
  what,
  failure,
  onRetry,
}: {
  readonly what: string;
  readonly failure: WatchFailure;
  readonly onRetry: () => void;
}): ReactElement {
  if (failure.code === 403)
    return (
      <Trouble
        title={en.trouble.forbidden(what)}
        detail={failure.message || en.trouble.forbiddenHint}
        code={failure.reason}
      />
    );
  return (
    <Trouble
      title={en.trouble.failed(what)}
      detail={failure.code === 0 ? en.trouble.unreachable : failure.message}
      code={failure.code === 0 ? undefined : failure.reason}
      onRetry={onRetry}
    />
  );
}

/** A bug, or an API that cannot be reached while the page is being loaded. */
export function BrokenPage({ error, reset }: ErrorComponentProps): ReactElement {
  const refusal = asRefusal(error);
  return (
    <main className="mx-auto grid min-h-[50vh] w-full max-w-xl content-center p-6">
      <Trouble
        title={error instanceof Refusal && error.code === 0 ? en.trouble.unreachable : en.trouble.broken}
        detail={en.trouble.brokenHint}
        code={refusal.message}
        onRetry={() => {
          reset();
          location.reload();
        }}
      />
    </main>
  );
}

export function MissingPage(): ReactElement {
  return (
    <main className="mx-auto grid min-h-[60vh] content-center justify-items-center gap-3 p-6 text-center">
      <h1 className="text-17">{en.trouble.notFound}</h1>
      <Link to="/machines" className="text-accent hover:underline">
        {en.trouble.home}
      </Link>
    </main>
  );
}
