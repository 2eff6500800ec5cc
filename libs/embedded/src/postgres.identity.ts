import { spawnSync } from 'node:child_process';
import { lstatSync } from 'node:fs';
import { StartFailure } from './child.ts';

/** As whom PostgreSQL runs: it refuses to run as root. */
export interface PostgresIdentity {
  readonly wrapper: readonly string[];
  /** Whom its files belong to; absent: whoever we are. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

const OURSELVES: PostgresIdentity = { wrapper: [] };
const NOBODY = { uid: 65_534, gid: 65_534 };

/**
 * How root can run it, best first. In a user namespace root is seen as another user and keeps its access, so a home that
 * only root may enter is no obstacle. Containers often forbid namespaces; there it runs as nobody with the one capability
 * to pass folder permissions (capabilities(7), CAP_DAC_OVERRIDE).
 */
const FOR_ROOT: readonly PostgresIdentity[] = [
  { wrapper: ['unshare', '--user', '--map-user=1000', '--map-group=1000', '--'], owner: { uid: 0, gid: 0 } },
  {
    wrapper: [
      ...['setpriv', `--reuid=${NOBODY.uid}`, `--regid=${NOBODY.gid}`, '--clear-groups'],
      ...['--inh-caps=-all,+dac_override', '--ambient-caps=-all,+dac_override', '--'],
    ],
    owner: NOBODY,
  },
];

/** The first identity under which the program runs. `candidates` is for tests. */
export function chooseIdentity(
  program: string,
  candidates = process.getuid?.() === 0 ? FOR_ROOT : [OURSELVES],
): PostgresIdentity {
  const failures: string[] = [];
  for (const candidate of candidates) {
    const [command = '', ...args] = [...candidate.wrapper, program, '--version'];
    const { status, stderr, error } = spawnSync(command, args, { cwd: '/', encoding: 'utf8', timeout: 10_000 });
    if (status === 0) return candidate;
    failures.push((error?.message ?? stderr).trim());
  }
  throw new StartFailure(
    `PostgreSQL cannot run here: start Corral as a user other than root, or set DATABASE_URL\n${failures.join('\n')}`,
  );
}

/** Gives a folder that was made under another identity to this one. */
export function giveTo(identity: PostgresIdentity, folder: string): void {
  const { owner } = identity;
  if (!owner || lstatSync(folder).uid === owner.uid) return;
  const { status, stderr } = spawnSync('chown', ['-R', '-h', `${owner.uid}:${owner.gid}`, folder], {
    encoding: 'utf8',
  });
  if (status !== 0)
    throw new StartFailure(`PostgreSQL’s data folder could not be given to user ${owner.uid}: ${stderr}`);
}
