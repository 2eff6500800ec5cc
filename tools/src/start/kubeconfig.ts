import { stringify } from 'yaml';

interface KubeconfigOptions {
  readonly server: string;
  /** PEM; absent when the server has a certificate others vouch for. */
  readonly certificate: string | undefined;
  readonly token: string;
}

/** A kubeconfig with one cluster, one user and one context. Source: k8s.io/client-go/tools/clientcmd/api/v1, Config. */
export function kubeconfig({ server, certificate, token }: KubeconfigOptions): string {
  const authority =
    certificate === undefined ? {} : { 'certificate-authority-data': Buffer.from(certificate).toString('base64') };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'corral', cluster: { server, ...authority } }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'corral', context: { cluster: 'corral', user: 'admin', namespace: 'default' } }],
    'current-context': 'corral',
  });
}
