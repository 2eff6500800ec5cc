/** A process full of fake node agents: `agents.main.ts <url> <first> <count> <machines per node>`; the node token is in the environment. */
import { setTimeout as delay } from 'node:timers/promises';
import { exchangeNodeToken, HttpObjectClient } from '@corral/client';
import { Problem } from '@corral/contracts';
import { FakeAgent } from './fake-agent.ts';
import { KeepAliveConnection } from './keep-alive-connection.ts';
import { nodeName } from './names.ts';

const [baseUrl = '', first = '0', count = '0', machinesMax = '0'] = process.argv.slice(2);
const abort = new AbortController();
const failures = new Map<string, number>();
const REGISTRATIONS_AT_ONCE = 8;

function onFailure(error: unknown): void {
  const what = error instanceof Problem ? error.code : String(error);
  failures.set(what, (failures.get(what) ?? 0) + 1);
}

process.once('disconnect', () => process.exit(0));
process.on('message', () => process.send?.({ type: 'Failures', failures: Object.fromEntries(failures) }));

const names = Array.from({ length: Number(count) }, (_, index) => nodeName(Number(first) + index));
const running: Promise<void>[] = [];
let registered = 0;
let next = 0;
const bootstrapToken = process.env['CORRAL_NODE_TOKEN'] ?? '';
await Promise.all(
  Array.from({ length: REGISTRATIONS_AT_ONCE }, async () => {
    for (let name = names[next++]; name !== undefined; name = names[next++]) {
      const token = await exchangeNodeToken({ baseUrl, token: bootstrapToken, nodeName: name });
      const client = new HttpObjectClient(new KeepAliveConnection({ baseUrl, token, deadlineMs: 60_000 }));
      const agent = new FakeAgent({ client, name, machinesMax: Number(machinesMax), onFailure });
      while (!(await agent.register().then(() => true, (error: unknown) => onFailure(error)))) await delay(500);
      running.push(agent.run(abort.signal, registered / names.length));
      registered += 1;
    }
  }),
);
process.send?.({ type: 'Registered', count: registered });
await Promise.all(running);
