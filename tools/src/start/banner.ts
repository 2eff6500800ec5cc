import { relative } from 'node:path';
import type { Terminal } from '../terminal/terminal.ts';

interface BannerFacts {
  readonly home: string;
  readonly cwd: string;
  readonly baseUrl: string;
  readonly signInUrl: string;
  readonly kernelFlavor: 'stock' | 'tickless';
  readonly elapsed: string;
}

/** Everything one needs to begin, on one screen. */
export function showBanner(
  terminal: Terminal,
  { home, cwd, baseUrl, signInUrl, kernelFlavor, elapsed }: BannerFacts,
): void {
  const shown = (path: string): string => {
    const short = relative(cwd, path);
    return short.startsWith('..') ? path : short;
  };
  const machines = `${baseUrl}/apis/corral.dev/v1/namespaces/default/virtualmachines`;
  const label = (text: string): string => terminal.paint('bold', text.padEnd(10));
  const header = `-H "Authorization: Bearer $(cat '${home}/admin-token')" -H 'Content-Type: application/json'`;

  terminal.line();
  terminal.line(`${terminal.paint('green', terminal.paint('bold', 'Corral is ready'))} after ${elapsed}`);
  terminal.line();
  terminal.line(`${label('Console')} ${terminal.paint('cyan', signInUrl)}`);
  terminal.line(
    `${label('')} ${terminal.paint('dim', 'The link works once; later, sign in with the token in ' + shown(`${home}/admin-token`))}`,
  );
  terminal.line(`${label('kubectl')} export KUBECONFIG='${home}/kubeconfig'`);
  terminal.line(`${label('')} kubectl get virtualmachines,nodes`);
  terminal.line(
    `${label('Create')} curl -sS ${machines} ${header} -d '{"apiVersion":"corral.dev/v1","kind":"VirtualMachine","metadata":{"name":"demo"},"spec":{"source":{"image":"linux-minimal"}}}'`,
  );
  terminal.line(`${label('Run')} curl -sS ${machines}/demo/exec ${header} -d '{"command":["uname","-a"]}'`);
  terminal.line(`${label('State')} ${shown(home)}, logs in ${shown(`${home}/logs`)}`);
  if (kernelFlavor === 'stock') {
    terminal.line(
      `${label('Kernel')} Debian’s: an idle VM uses 6 % of a core. npm run images -- kernel builds our own (about 4 minutes, once): 0.5 %`,
    );
  }
  terminal.line(`${label('Stop')} Ctrl-C`);
  terminal.line();
}
