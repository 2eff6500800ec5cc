import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parse, parseDocument, YAMLSeq } from 'yaml';
import { z } from 'zod';
import { UsageError } from './usage-error.ts';

/** The parts of a kubeconfig that say where the API is and who calls. Source: k8s.io/client-go/tools/clientcmd/api/v1, Config. */
const Cluster = z.object({
  server: z.string(),
  'certificate-authority-data': z.string().optional(),
  'certificate-authority': z.string().optional(),
});
const ExecPlugin = z.object({
  command: z.string(),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
});
const User = z.object({ token: z.string().optional(), tokenFile: z.string().optional(), exec: ExecPlugin.optional() });
const Context = z.object({ cluster: z.string(), user: z.string().optional(), namespace: z.string().optional() });
const named = <T extends z.ZodType, Name extends string>(what: Name, schema: T) =>
  z.array(z.object({ name: z.string(), [what]: schema } as { name: z.ZodString } & Record<Name, T>)).nullish();
const Config = z.object({
  clusters: named('cluster', Cluster.loose()),
  users: named('user', User.loose()),
  contexts: named('context', Context.loose()),
  'current-context': z.string().optional(),
});

/** Where the API is, and the caller's credential and namespace there. */
export interface Target {
  readonly server: string;
  readonly token: string | undefined;
  readonly namespace: string | undefined;
  /** PEM that verifies the server, beside the system's. */
  readonly certificateAuthority: string | undefined;
}

export interface KubeconfigChoice {
  /** `--kubeconfig`. */
  readonly file: string | undefined;
  /** `--context`. */
  readonly context: string | undefined;
  /** `KUBECONFIG` names files, of which the first that names a thing wins; a credential plugin gets all of it. */
  readonly environment: NodeJS.ProcessEnv;
}

const EXEC_DEADLINE_MS = 30_000;

/** The files that are read, in order: as kubectl chooses them, and last the one that `npm start` wrote here. */
export function kubeconfigFiles({ file, environment }: Pick<KubeconfigChoice, 'file' | 'environment'>): readonly string[] {
  if (file !== undefined) return [resolve(file)];
  if (environment['KUBECONFIG']) return environment['KUBECONFIG'].split(delimiter).filter((path) => path !== '');
  const own = join(homedir(), '.kube', 'config');
  return existsSync(own) ? [own] : [resolve('.corral', 'kubeconfig')];
}

export async function readTarget(choice: KubeconfigChoice): Promise<Target> {
  const files = kubeconfigFiles(choice).filter((file) => existsSync(file));
  if (files.length === 0) {
    throw new UsageError('no kubeconfig was found: run `corral login <server>`, or name one with --kubeconfig or KUBECONFIG');
  }
  const configs = files.map((file) => ({ file, config: readConfig(file) }));
  const find = <T>(list: (config: z.output<typeof Config>) => readonly T[] | null | undefined, isIt: (item: T) => boolean) => {
    for (const { file, config } of configs) {
      const found = list(config)?.find(isIt);
      if (found) return { file, found };
    }
    return undefined;
  };

  const name = choice.context ?? configs.map(({ config }) => config['current-context']).find((context) => context);
  if (name === undefined) throw new UsageError(`${files.join(', ')} has no current context: choose one with --context`);
  const context = find((config) => config.contexts, (item) => item.name === name)?.found.context;
  if (!context) throw new UsageError(`there is no context "${name}" in ${files.join(', ')}`);
  const cluster = find((config) => config.clusters, (item) => item.name === context.cluster);
  if (!cluster) throw new UsageError(`context "${name}" names the cluster "${context.cluster}", which is not there`);
  const user = context.user === undefined ? undefined : find((config) => config.users, (item) => item.name === context.user);
  return {
    server: cluster.found.cluster.server,
    token: user && (await tokenOf(user.found.user, user.file, choice.environment)),
    namespace: context.namespace,
    certificateAuthority: authorityOf(cluster.found.cluster, cluster.file),
  };
}

function readConfig(file: string): z.output<typeof Config> {
  const parsed = Config.safeParse(parse(readFileSync(file, 'utf8')) ?? {});
  if (!parsed.success) throw new UsageError(`${file} is no kubeconfig:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function authorityOf(cluster: z.output<typeof Cluster>, file: string): string | undefined {
  if (cluster['certificate-authority-data']) return Buffer.from(cluster['certificate-authority-data'], 'base64').toString('utf8');
  return cluster['certificate-authority'] ? readFileSync(beside(file, cluster['certificate-authority']), 'utf8') : undefined;
}

async function tokenOf({ token, tokenFile, exec }: z.output<typeof User>, file: string, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (token !== undefined) return token;
  if (tokenFile !== undefined) return readFileSync(beside(file, tokenFile), 'utf8').trim();
  return exec && (await tokenOfPlugin(exec, environment));
}

const Credential = z.object({ status: z.object({ token: z.string() }) });

/** Source: k8s.io/client-go/pkg/apis/clientauthentication/v1, ExecCredential. */
async function tokenOfPlugin({ command, args, env }: z.output<typeof ExecPlugin>, environment: NodeJS.ProcessEnv): Promise<string> {
  const added = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));
  const info = JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', spec: { interactive: false } });
  try {
    const { stdout } = await promisify(execFile)(command, args ?? [], { env: { ...environment, ...added, KUBERNETES_EXEC_INFO: info }, timeout: EXEC_DEADLINE_MS });
    return Credential.parse(JSON.parse(stdout)).status.token;
  } catch (cause) {
    throw new UsageError(`the credential plugin "${command}" of the kubeconfig gave no token`, { cause });
  }
}

const beside = (file: string, path: string): string => (isAbsolute(path) ? path : join(dirname(file), path));

export interface NewContext {
  readonly name: string;
  readonly server: string;
  readonly token: string;
  readonly namespace: string;
  readonly certificateAuthority: string | undefined;
}

/** Adds or replaces a context with its cluster and user, makes it the current one, and leaves everything else as it was, comments too. */
export function writeContext(file: string, { name, server, token, namespace, certificateAuthority }: NewContext): void {
  const document = parseDocument(existsSync(file) ? readFileSync(file, 'utf8') : 'apiVersion: v1\nkind: Config\n');
  const authority = certificateAuthority === undefined ? {} : { 'certificate-authority-data': Buffer.from(certificateAuthority).toString('base64') };
  const put = (list: string, item: { readonly name: string }): void => {
    const existing = document.get(list);
    const items = existing instanceof YAMLSeq ? existing : new YAMLSeq();
    const others = items.items.filter((other) => (other as { get?: (key: string) => unknown }).get?.('name') !== item.name);
    items.items = [...others, document.createNode(item)];
    document.set(list, items);
  };
  put('clusters', { name, cluster: { server, ...authority } } as { name: string });
  put('users', { name, user: { token } } as { name: string });
  put('contexts', { name, context: { cluster: name, user: name, namespace } } as { name: string });
  document.set('current-context', name);
  mkdirSync(dirname(file), { recursive: true });
  // Written aside and moved: a full disk must not cost somebody their other clusters.
  const aside = `${file}.${process.pid}`;
  writeFileSync(aside, document.toString(), { mode: 0o600 });
  renameSync(aside, file);
}
