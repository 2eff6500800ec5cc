import { Command } from 'commander';
import { addConsole } from './commands/console.ts';
import { addCp } from './commands/cp.ts';
import { addExec } from './commands/exec.ts';
import { addFork } from './commands/fork.ts';
import { addHibernate, addWake } from './commands/hibernate.ts';
import { addLogin } from './commands/login.ts';
import { addLogs } from './commands/logs.ts';
import { addRollback } from './commands/rollback.ts';
import { addRun } from './commands/run.ts';
import { addSnapshot } from './commands/snapshot.ts';
import { addTop } from './commands/top.ts';
import type { Invocation } from './invocation.ts';

/** The program and its verbs; `name` is what the caller typed, `corral` or `kubectl corral`. */
export function buildProgram(name: string, invocation: Invocation): Command {
  const program = new Command(name)
    .description('Corral: virtual machines that need no KVM.\n\nWhat kubectl has a verb for, kubectl does: get, describe, apply, delete, wait, label, events.')
    .version('0.1.0')
    .option('-n, --namespace <name>', 'namespace (default: of the context)')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--kubeconfig <file>', 'kubeconfig (default: $KUBECONFIG, ~/.kube/config, then .corral/kubeconfig)')
    .option('--server <url>', 'server, instead of the context’s')
    .option('--token <token>', 'bearer token, instead of the context’s')
    .option('-q, --quiet', 'say nothing but the result')
    .enablePositionalOptions()
    .showHelpAfterError('(see --help)')
    .configureHelp({ showGlobalOptions: true });
  for (const add of [addRun, addExec, addConsole, addCp, addSnapshot, addRollback, addFork, addHibernate, addWake, addLogs, addTop, addLogin]) add(program, invocation);
  return program;
}
