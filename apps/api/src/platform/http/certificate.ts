import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { generate } from 'selfsigned';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const LIFETIME_YEARS = 10;
const LOCAL_NAMES = ['localhost', '127.0.0.1', '::1'];

/**
 * The certificate in `tls.crt` and `tls.key` of a folder (the names of a Kubernetes TLS Secret). Where neither is there a
 * self-signed one for this machine is made and kept: whoever can read `tls.crt` can verify the server by it.
 */
export async function loadCertificate(directory: string, host: string): Promise<Certificate> {
  const [certFile, keyFile] = [join(directory, 'tls.crt'), join(directory, 'tls.key')];
  if (!existsSync(certFile) && !existsSync(keyFile)) {
    const made = await makeCertificate([...new Set([...LOCAL_NAMES, host])]);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(keyFile, made.key, { mode: 0o600 });
    writeFileSync(certFile, made.cert);
  }
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}

async function makeCertificate(names: readonly string[]): Promise<Certificate> {
  const notAfterDate = new Date();
  notAfterDate.setFullYear(notAfterDate.getFullYear() + LIFETIME_YEARS);
  const made = await generate([{ name: 'commonName', value: 'corral' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notAfterDate,
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: names.map((name) => (isIP(name) ? { type: 7, ip: name } : { type: 2, value: name })) },
    ],
  });
  return { cert: made.cert, key: made.private };
}
