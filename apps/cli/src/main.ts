/** `corral`, and `kubectl corral`. */
import { basename } from 'node:path';
import { Problem, PROBLEMS } from '@corral/contracts';
import { CommanderError } from 'commander';
import { addCompletion } from './completion.ts';
import { sessionOf, type Invocation } from './invocation.ts';
import { buildProgram } from './program.ts';
import { Screen } from './screen.ts';
import type { GlobalOptions } from './session.ts';
import { UsageError } from './usage-error.ts';

const FAILURE = 1;
const USAGE = 2;
/** 128 + SIGINT, as a shell counts. */
const INTERRUPTED = 130;

const { argv, env, stdin, stdout, stderr } = process;
const args = argv.slice(2);
const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
// Whoever reads us may have read enough, as head does.
stdout.on('error', () => process.exit(FAILURE));

const invocation: Invocation = {
  stdin,
  stdout,
  stderr,
  environment: env,
  screen: new Screen(stderr, { isQuiet: args.includes('-q') || args.includes('--quiet') }),
  signal: abort.signal,
  session: () => session(),
  print: (text) => void stdout.write(`${text}\n`),
  exitWith: (code) => {
    process.exitCode = code;
  },
};
const program = buildProgram(basename(env['CORRAL_INVOKED_AS'] ?? argv[1] ?? '').startsWith('kubectl-') ? 'kubectl corral' : 'corral', invocation);
const session = sessionOf(() => program.opts<GlobalOptions>(), env);

try {
  await addCompletion(program, args, session);
  program.exitOverride();
  await program.parseAsync(argv);
} catch (error) {
  process.exitCode = report(error);
} finally {
  // Keys nobody waits for any more must not keep the program.
  stdin.unref?.();
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
  if (abort.signal.aborted) return INTERRUPTED;
  if (error instanceof UsageError) {
    stderr.write(`corral: ${error.message}\n`);
    return USAGE;
  }
  if (error instanceof Problem) {
    stderr.write(`corral: ${describe(error)}\n`);
    return FAILURE;
  }
  stderr.write(`corral: unexpected: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return FAILURE;
}

/** The server's words, its reason, and what to do where there is something. */
function describe(problem: Problem): string {
  const { code, message, cause } = problem;
  const why = code === 'dependency.unavailable' && cause instanceof Error ? ` (${innermost(cause).message})` : '';
  const hint =
    code === 'request.unauthenticated' ? '; sign in with corral login' : code === 'vm.no-guest-agent' ? '; corral console works without an agent' : '';
  return `${message}${why} [${PROBLEMS[code].reason}]${hint}`;
}

function innermost(error: Error): Error {
  return error.cause instanceof Error ? innermost(error.cause) : error;
}
