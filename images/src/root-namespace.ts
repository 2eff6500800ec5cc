import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { Problem } from '@corral/contracts';
import { run } from './command.ts';
import { findOnPath } from './system-tools.ts';

const NAMESPACES = ['unshare', '--mount', '--pid', '--fork', '--kill-child'];

const succeeds = (command: readonly string[]): Promise<boolean> => {
  const [program = '', ...args] = command;
  return run(program, args).then(
    () => true,
    () => false,
  );
};

/**
 * What to put before a command that installs Debian packages into a folder: they belong to several users and run scripts in
 * a chroot, so it takes root, or root of a user namespace with a range of ids. In a container that may not make namespaces,
 * root alone does.
 */
export async function rootNamespace(purpose: string): Promise<readonly string[]> {
  const { uid, username } = userInfo();
  if (uid === 0) return (await succeeds([...NAMESPACES, 'true'])) ? NAMESPACES : [];
  const mapped = ['unshare', '--user', '--map-root-user', '--map-auto', ...NAMESPACES.slice(1)];
  if (await succeeds([...mapped, 'true'])) return mapped;
  const subordinate = await readFile('/etc/subuid', 'utf8').catch(() => '');
  const steps = [
    ...((await findOnPath('newuidmap')) === undefined ? ['apt-get install uidmap'] : []),
    ...(subordinate.split('\n').some((line) => line.startsWith(`${username}:`))
      ? []
      : [`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`]),
  ];
  const remedy =
    steps.length > 0
      ? `As root, once: ${steps.join(' && ')}`
      : 'This machine allows no user namespaces (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)';
  throw new Problem(
    'dependency.unavailable',
    `Building ${purpose} needs root, or a user namespace. ${remedy}. Or: docker build -f deploy/images.Dockerfile .`,
  );
}
