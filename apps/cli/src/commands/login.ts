import { createHash, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { createInterface } from 'node:readline/promises';
import { Connection } from '@corral/client';
import { Problem } from '@corral/contracts';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';
import type { Invocation } from '../invocation.ts';
import { kubeconfigFiles, writeContext } from '../kubeconfig.ts';
import { requireSafe, trust, type GlobalOptions } from '../session.ts';
import { readSecret } from '../secret-prompt.ts';
import { UsageError } from '../usage-error.ts';

interface LoginOptions {
  readonly name: string;
  readonly tokenStdin?: boolean;
  readonly certificateAuthority?: string;
  readonly fingerprint?: string;
}

const HANDSHAKE_DEADLINE_MS = 10_000;

export function addLogin(program: Command, invocation: Invocation): void {
  program
    .command('login')
    .summary('remember a server and a token')
    .description('Checks a token with a server and writes both into the kubeconfig as the current context: kubectl and corral use it from then on.')
    .argument('<server>', 'URL of the server, as https://corral.example.com')
    .option('--name <context>', 'name of the context', 'corral')
    .option('--token-stdin', 'read the token from stdin instead of asking')
    .option('--certificate-authority <file>', "PEM that verifies the server's certificate")
    .option('--fingerprint <sha256>', "trust the server's own certificate if it has this fingerprint")
    .addHelpText('after', "\nWithout --certificate-authority, a certificate that no authority of this machine knows is shown, and trusted only if you say so.")
    .action(async (server: string, options: LoginOptions) => {
      const global = program.opts<GlobalOptions>();
      requireSafe(server, 'token');
      const authority = await authorityOf(server, options, invocation);
      if (authority !== undefined) trust(authority);
      const token = global.token ?? (options.tokenStdin ? (await readAll(invocation.stdin)).trim() : await readSecret('Token: ', invocation));
      if (token === '') throw new UsageError('no token was given: the console makes API keys, and kubectl create token makes one for a service account');
      const user = await whoAmI(server, token);
      const [file] = kubeconfigFiles({ file: global.kubeconfig, environment: invocation.environment });
      if (file === undefined) throw new UsageError('KUBECONFIG names no file to write to');
      writeContext(file, { name: options.name, server, token, namespace: global.namespace ?? 'default', certificateAuthority: authority });
      invocation.screen.line(`Signed in to ${server} as ${user}. The current context of ${file} is now "${options.name}".`);
    });
}

const Review = z.object({ status: z.object({ userInfo: z.object({ username: z.string().optional() }) }) });

/** Refuses with `request.unauthenticated` when the server does not know the token. */
async function whoAmI(server: string, token: string): Promise<string> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const answer = await new Connection({ baseUrl: server, token }).json({ method: 'POST', path: '/apis/authentication.k8s.io/v1/selfsubjectreviews', body });
  return Review.parse(answer).status.userInfo.username ?? 'somebody';
}

/** What verifies the server where this machine's authorities do not: a file, or its own certificate once somebody vouched for it. */
async function authorityOf(server: string, options: LoginOptions, invocation: Invocation): Promise<string | undefined> {
  if (options.certificateAuthority !== undefined) return readFileSync(options.certificateAuthority, 'utf8');
  const url = new URL(server);
  if (url.protocol !== 'https:') return undefined;
  const { isTrusted, certificate } = await inspect(url);
  if (isTrusted) return undefined;
  const fingerprint = fingerprintOf(certificate);
  const expected = options.fingerprint?.replaceAll(':', '').toUpperCase();
  if (expected !== undefined) {
    if (expected !== fingerprint.replaceAll(':', '')) throw new UsageError(`the server's certificate has another fingerprint: ${fingerprint}`);
    return certificate.toString();
  }
  if (invocation.stdin.isTTY !== true) {
    throw new UsageError(`no authority of this machine vouches for ${server}: give --certificate-authority, or --fingerprint ${fingerprint} if that is its certificate`);
  }
  invocation.stderr.write(`No authority of this machine vouches for ${server}. The SHA-256 fingerprint of its certificate is\n  ${fingerprint}\n`);
  const prompt = createInterface({ input: invocation.stdin, output: invocation.stderr });
  const answer = await prompt.question('Trust it from now on? (yes/no) ', { signal: invocation.signal }).finally(() => prompt.close());
  if (answer.trim().toLowerCase() !== 'yes') throw new UsageError('not trusted, not signed in');
  return certificate.toString();
}

const fingerprintOf = (certificate: X509Certificate): string => createHash('sha256').update(certificate.raw).digest('hex').toUpperCase().replaceAll(/(..)(?!$)/g, '$1:');

function inspect(url: URL): Promise<{ readonly isTrusted: boolean; readonly certificate: X509Certificate }> {
  return new Promise((resolve, reject) => {
    // Nothing is sent over this connection: it only shows the certificate.
    const host = url.hostname.replace(/^\[|\]$/g, '');
    // RFC 6066, 3: a server is named to it by name only, never by address.
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket = connect({ host, port: Number(url.port || 443), ...name, rejectUnauthorized: false, timeout: HANDSHAKE_DEADLINE_MS });
    const fail = (cause?: unknown): void => {
      socket.destroy();
      reject(new Problem('dependency.unavailable', `${url.origin} could not be reached`, { cause }));
    };
    socket.once('error', fail);
    socket.once('timeout', () => fail());
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (!certificate) return fail();
      resolve({ isTrusted: socket.authorized, certificate });
    });
  });
}

async function readAll(stream: NodeJS.ReadStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}
