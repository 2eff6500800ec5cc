import { Connection, type ConnectionOptions } from './connection.ts';
import { MachineClient } from './machine-client.ts';
import * as resources from './openapi/resources.ts';
import type { ApiObject, Resource } from './resource.ts';
import { ResourceClient } from './resource-client.ts';

/**
 * The typed client of the Corral API: every kind by its own types, as the server's OpenAPI document has them.
 *
 *   const corral = new CorralClient({ baseUrl, token });
 *   await corral.virtualMachines.create('default', { metadata: { name: 'demo' }, spec: { source: { image: 'linux-minimal' } } });
 *   await corral.virtualMachines.wait('default', 'demo', 'Ready', 30);
 *   const { stdout } = await corral.machine('default', 'demo').exec({ command: ['uname', '-a'] });
 */
export class CorralClient {
  readonly connection: Connection;

  constructor(options: ConnectionOptions) {
    this.connection = new Connection(options);
  }

  /** The verbs of any kind; `resources` names them all. */
  resource<T extends ApiObject>(resource: Resource<T>): ResourceClient<T> {
    return new ResourceClient(this.connection, resource);
  }

  get virtualMachines(): ResourceClient<resources.VirtualMachine> {
    return this.resource(resources.virtualMachines);
  }

  get virtualMachinePools(): ResourceClient<resources.VirtualMachinePool> {
    return this.resource(resources.virtualMachinePools);
  }

  get virtualMachineSnapshots(): ResourceClient<resources.VirtualMachineSnapshot> {
    return this.resource(resources.virtualMachineSnapshots);
  }

  get virtualMachineImages(): ResourceClient<resources.VirtualMachineImage> {
    return this.resource(resources.virtualMachineImages);
  }

  /** A running machine's guest. */
  machine(namespace: string, name: string): MachineClient {
    return new MachineClient(this.connection, namespace, name);
  }
}
