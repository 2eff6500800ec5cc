import { buttonClass } from '@corral/ui';
import { Link, useSearch } from '@tanstack/react-router';
import { ScrollText } from 'lucide-react';
import type { ReactElement } from 'react';
import { useDefaultNamespace } from '../../app/namespace.ts';
import { en } from '../../messages/en.ts';

/** Who did what to this object. */
export function AuditLink({
  namespace,
  resource,
  name,
}: {
  readonly namespace: string;
  readonly resource: string;
  readonly name: string;
}): ReactElement {
  const { ns } = useSearch({ from: '/app' });
  const usual = useDefaultNamespace();
  const shown = namespace === usual ? undefined : namespace;
  return (
    <Link
      to="/audit"
      search={{ ns: ns === '*' ? ns : shown, resource, name }}
      aria-label={en.audit.of(name)}
      className={buttonClass('Plain', 'Small')}
    >
      <ScrollText aria-hidden size={13} />
      {en.audit.title}
    </Link>
  );
}
