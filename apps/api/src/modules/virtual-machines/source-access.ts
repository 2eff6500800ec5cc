import { Inject, Injectable } from '@nestjs/common';
import { sameJson, type RequestAttributes } from '@corral/api-machinery';
import { Problem, virtualMachinePools, virtualMachines, virtualMachineSnapshots, type KindDefinition, type VirtualMachineSource } from '@corral/contracts';
import { Authorizer, forbidden } from '../../platform/auth/authorization.ts';
import type { Actor } from '../../platform/auth/user.ts';
import { Admission } from '../../platform/objects/admission.ts';

/**
 * Who makes a machine that goes on from another has what that one held: memory, files, secrets, without a right to its shell. So they need the right to fork the machine,
 * or to get the snapshot or the pool, that they name; and to get the machine that they take a snapshot of. Decided before anything else is looked at: what
 * they may not see is 403, whether it exists or not.
 */
@Injectable()
export class SourceAccess {
  constructor(
    @Inject(Admission) admission: Admission,
    @Inject(Authorizer) private readonly authorizer: Authorizer,
  ) {
    admission.defaultFirst(virtualMachines, (vm, previous, { user }) => {
      if (!sameJson(vm.spec?.source, previous?.spec?.source)) this.#requireSource(user, vm.metadata.namespace, vm.spec?.source);
      return Promise.resolve(vm);
    });
    admission.defaultFirst(virtualMachinePools, (pool, previous, { user }) => {
      const [source, before] = [pool, previous].map((one) => one?.spec?.template?.spec?.source);
      if (!sameJson(source, before)) this.#requireSource(user, pool.metadata.namespace, source);
      return Promise.resolve(pool);
    });
    admission.defaultFirst(virtualMachineSnapshots, (snapshot, previous, { user }) => {
      if (!previous) this.#require(user, snapshot.metadata.namespace, virtualMachines, snapshot.spec?.virtualMachine);
      return Promise.resolve(snapshot);
    });
  }

  #requireSource(user: Actor, namespace: string | undefined, { snapshot, virtualMachine, pool }: VirtualMachineSource = {}): void {
    this.#require(user, namespace, virtualMachines, virtualMachine, 'fork');
    this.#require(user, namespace, virtualMachineSnapshots, snapshot);
    this.#require(user, namespace, virtualMachinePools, pool);
  }

  #require(user: Actor, namespace = '', { group, version, plural }: Pick<KindDefinition, 'group' | 'version' | 'plural'>, name: string | undefined, subresource: '' | 'fork' = ''): void {
    if (name === undefined) return;
    const attributes: RequestAttributes = { isResource: true, verb: subresource === '' ? 'get' : 'create', group, version, resource: plural, subresource, namespace, name };
    if (this.authorizer.decide(user, attributes).isAllowed) return;
    const refused = forbidden(user, attributes);
    throw new Problem(refused.code, `${refused.message}: what goes on from it holds what it holds`, { ...(refused.details ? { details: refused.details } : {}) });
  }
}
