import { Button, buttonClass } from '@corral/ui';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useState, type ReactElement } from 'react';
import { asRefusal } from '../../api/refusal.ts';
import { request } from '../../api/request.ts';
import { signIn } from '../../app/session.ts';
import { Mark } from '../../app/shell.tsx';
import { en } from '../../messages/en.ts';

export function SignInPage(): ReactElement {
  const navigate = useNavigate();
  const { next, link } = useSearch({ from: '/signed-out' });
  const [token, setToken] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | undefined>(
    link === undefined ? undefined : (en.signIn.failures[link] ?? en.signIn.failures['expired']),
  );
  const [hasOpenId, setHasOpenId] = useState(false);
  useEffect(() => {
    // Without an answer there is still the token.
    void request<{ readonly openId?: object }>('/auth/methods').then(
      ({ openId }) => setHasOpenId(openId !== undefined),
      () => undefined,
    );
  }, []);
  useEffect(() => {
    document.title = en.pageTitle(en.signIn.submit, 0);
  }, []);

  const submit = async (): Promise<void> => {
    setBusy(true);
    try {
      await signIn(token.trim());
      // Only a path of this site: a link to here must not lead elsewhere.
      const wanted = next !== undefined && /^\/(?![/\\])/.test(next) ? next : '/machines';
      await navigate({ href: wanted, replace: true });
    } catch (error) {
      const refusal = asRefusal(error);
      setProblem(
        refusal.code === 401 || refusal.code === 403 || refusal.code === 400
          ? en.signIn.wrong
          : refusal.code === 0
            ? en.trouble.unreachable
            : refusal.message,
      );
      setBusy(false);
    }
  };

  return (
    <main className="grid min-h-dvh place-items-center bg-[radial-gradient(60rem_40rem_at_50%_-10rem,var(--color-hover),transparent)] p-5">
      <form
        className="flex w-full max-w-sm flex-col gap-4 rounded-dialog border border-line2 bg-panel p-7 shadow-float"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <Mark />
        <h1 className="text-17">{en.signIn.title}</h1>
        {hasOpenId && (
          <>
            <a
              href={`/auth/oidc/start?return=${encodeURIComponent(next ?? '/machines')}`}
              className={buttonClass('Primary', 'Touch')}
            >
              {en.signIn.openId}
            </a>
            <p aria-hidden className="text-center text-12 text-ink3">
              {en.signIn.or}
            </p>
          </>
        )}
        <label className="flex flex-col gap-1.5">
          <span className="text-ink2">{en.signIn.token}</span>
          <input
            type="password"
            autoFocus
            required
            autoComplete="current-password"
            value={token}
            aria-invalid={problem !== undefined}
            aria-describedby="sign-in-problem"
            onChange={({ target }) => {
              setToken(target.value);
              setProblem(undefined);
            }}
            className="h-10 rounded-control border border-edge bg-canvas px-3 font-mono text-13 max-phone:text-[16px]"
          />
        </label>
        <p id="sign-in-problem" role="alert" className="text-bad empty:hidden">
          {problem}
        </p>
        <Button type="submit" look={hasOpenId ? 'Plain' : 'Primary'} size="Touch" disabled={busy}>
          {en.signIn.submit}
        </Button>
        <p className="text-12 text-ink3">{en.signIn.hint}</p>
      </form>
    </main>
  );
}
