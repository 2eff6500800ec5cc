import type { ForkResult, VirtualMachine } from '@corral/contracts';
import { Button, StatusGlyph } from '@corral/ui';
import { Link } from '@tanstack/react-router';
import { useRef, useState, type FormEvent, type ReactElement } from 'react';
import { asRefusal, type Refusal } from '../../api/refusal.ts';
import { fork } from '../../api/resources.ts';
import { Modal } from '../../app/modal.tsx';
import { Trouble } from '../../app/trouble.tsx';
import { useOnline } from '../../live/live.ts';
import { en } from '../../messages/en.ts';
import { CONTROL, FormField } from '../new-machine/form-field.tsx';

/** As many as the API makes at once; the contracts' MAX_FORKS. */
const MAX_FORKS = 100;

/** Asks how many copies, and tells what became of each. */
export function ForkDialog({ vm, onClose }: { readonly vm: VirtualMachine; readonly onClose: () => void }): ReactElement {
  const { name, namespace = '' } = vm.metadata;
  const online = useOnline();
  const [count, setCount] = useState('1');
  const [prefix, setPrefix] = useState(`${name}-`);
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal>();
  const [result, setResult] = useState<ForkResult>();
  // One key for every try of one wish: an answer that got lost makes no others.
  const tried = useRef<{ readonly wish: string; readonly key: string }>(undefined);
  const number = Number(count);
  const isCount = /^\d+$/.test(count) && number >= 1 && number <= MAX_FORKS;

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (!isCount || busy) return;
    const wish = { count: number, generateName: prefix };
    const text = JSON.stringify(wish);
    if (tried.current?.wish !== text) tried.current = { wish: text, key: crypto.randomUUID() };
    setBusy(true);
    setRefusal(undefined);
    void fork(vm, wish, tried.current.key)
      .then(setResult, (error: unknown) => setRefusal(asRefusal(error)))
      .finally(() => setBusy(false));
  };

  return (
    <Modal title={en.fork.title(name)} onClose={onClose} className="max-w-md">
      {result ? (
        <Outcome result={result} namespace={namespace} onClose={onClose} />
      ) : (
        <form onSubmit={submit} className="flex min-h-0 flex-col">
          <div className="flex flex-col gap-4 overflow-y-auto px-5 py-4">
            <p className="text-ink2">{en.fork.what}</p>
            {refusal && <Trouble title={en.fork.refusedWhole} detail={refusal.message} code={refusal.reason} />}
            <div className="grid grid-cols-[110px_minmax(0,1fr)] gap-4">
              <FormField label={en.fork.count} problems={isCount ? [] : [en.fork.countHint(MAX_FORKS)]} hint={en.fork.countHint(MAX_FORKS)}>
                {(control) => (
                  <input {...control} autoFocus inputMode="numeric" className={CONTROL} value={count} onChange={({ target }) => setCount(target.value.trim())} />
                )}
              </FormField>
              <FormField label={en.fork.name} problems={[]}>
                {(control) => (
                  <input {...control} spellCheck={false} maxLength={53} className={CONTROL} value={prefix} onChange={({ target }) => setPrefix(target.value)} />
                )}
              </FormField>
            </div>
          </div>
          <div className="flex justify-end gap-2 border-t border-line px-4 py-3">
            <Button onClick={onClose}>{en.cancel}</Button>
            <Button type="submit" look="Primary" disabled={!online || busy || !isCount}>
              {busy ? en.fork.submitting : en.fork.submit}
            </Button>
          </div>
        </form>
      )}
    </Modal>
  );
}

function Outcome({ result, namespace, onClose }: { readonly result: ForkResult; readonly namespace: string; readonly onClose: () => void }): ReactElement {
  const made = result.items.filter(({ code }) => code === 201);
  const refused = result.items.flatMap((item) => ('status' in item ? [item] : []));
  // A quota says the same of each.
  const reasons = Map.groupBy(refused, ({ status }) => status.message ?? status.reason ?? '');
  return (
    <>
      <div role="status" className="flex flex-col gap-3 overflow-y-auto px-5 py-4">
        <p className="flex items-center gap-2">
          <StatusGlyph shape={refused.length === 0 ? 'Disc' : 'Triangle'} tone={refused.length === 0 ? 'Good' : 'Attention'} />
          {en.fork.done(result.created, result.requested)}
        </p>
        <ul aria-label={en.fork.copies} className="flex flex-wrap gap-1.5">
          {made.map(({ name }) => (
            <li key={name}>
              <Link
                to="/machines/$namespace/$name/$tab"
                params={{ namespace, name, tab: 'screen' }}
                search={(previous) => ({ ns: previous.ns })}
                onClick={onClose}
                className="flex h-6 items-center rounded-tag border border-line2 px-2 text-12 hover:bg-hover"
              >
                {name}
              </Link>
            </li>
          ))}
        </ul>
        {[...reasons].map(([message, items]) => (
          <Trouble key={message} title={en.fork.refused(items.length)} detail={message} code={items[0]?.status.reason} />
        ))}
      </div>
      <div className="flex justify-end border-t border-line px-4 py-3">
        <Button autoFocus onClick={onClose}>
          {en.fork.close}
        </Button>
      </div>
    </>
  );
}
