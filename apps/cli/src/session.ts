import tls from 'node:tls';
import { CorralClient } from '@corral/client';
import { readTarget, type Target } from './kubeconfig.ts';
import { UsageError } from './usage-error.ts';

/** The options every command has. */
export interface GlobalOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly server?: string;
  readonly token?: string;
}

/** The API that a command talks to, as the caller chose it. */
export interface Session {
  readonly client: CorralClient;
  readonly namespace: string;
  readonly server: string;
}

const USER_AGENT = 'corral/0.1.0';
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** Flags win over the kubeconfig. */
export async function openSession(options: GlobalOptions, environment: NodeJS.ProcessEnv): Promise<Session> {
  const named = options.server !== undefined && options.token !== undefined;
  const target: Target = named
    ? { server: '', token: undefined, namespace: undefined, certificateAuthority: undefined }
    : await readTarget({ file: options.kubeconfig, context: options.context, environment });
  const server = options.server ?? target.server;
  const token = options.token ?? target.token;
  requireSafe(server, token);
  if (target.certificateAuthority !== undefined) trust(target.certificateAuthority);
  const client = new CorralClient({ baseUrl: server, userAgent: USER_AGENT, ...(token === undefined ? {} : { token }) });
  return { client, server, namespace: options.namespace ?? target.namespace ?? 'default' };
}

/** For every connection of this process, beside the authorities that Node knows. */
export function trust(certificateAuthority: string): void {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), certificateAuthority]);
}

/** A token that travels in the clear is anybody's. */
export function requireSafe(server: string, token: string | undefined): void {
  if (!URL.canParse(server)) throw new UsageError(`"${server}" is not a URL; it should be like https://corral.example.com`);
  const { protocol, hostname } = new URL(server);
  if (protocol !== 'https:' && protocol !== 'http:') throw new UsageError(`"${server}" must begin with https:// (or http:// on this machine)`);
  if (token !== undefined && protocol === 'http:' && !LOOPBACK.includes(hostname)) {
    throw new UsageError(`${server} is not encrypted: a token is only sent over https://, except to this machine itself`);
  }
}
