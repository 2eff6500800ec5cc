import { Button } from '@corral/ui';
import { useState, type ReactElement } from 'react';
import { asRefusal, type Refusal } from '../../api/refusal.ts';
import { create, NAMESPACES, QUOTAS, ROLE_BINDINGS } from '../../api/resources.ts';
import { Modal } from '../../app/modal.tsx';
import { Trouble } from '../../app/trouble.tsx';
import { en } from '../../messages/en.ts';
import { CONTROL, FormField } from '../new-machine/form-field.tsx';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** A tenant is a namespace, who administers it, and how much it may use. */
export function NewTenantDialog({
  taken,
  onClose,
}: {
  readonly taken: readonly string[];
  readonly onClose: () => void;
}): ReactElement {
  const [name, setName] = useState('');
  const [admins, setAdmins] = useState('');
  const [machines, setMachines] = useState('');
  const [memory, setMemory] = useState('');
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal>();
  /** Of what was asked for, what is there already: trying again goes on after it. */
  const [done, setDone] = useState(0);
  const nameProblems =
    name === '' || DNS_LABEL.test(name)
      ? done === 0 && taken.includes(name)
        ? [en.tenants.nameTaken]
        : []
      : [en.tenants.nameRule];
  const people = admins.split(/[\s,]+/).filter((person) => person !== '');
  const hard = {
    ...(machines === '' ? {} : { 'count/virtualmachines.corral.dev': machines }),
    ...(memory === '' ? {} : { 'requests.memory': `${memory}Mi` }),
  };

  const submit = async (): Promise<void> => {
    setBusy(true);
    setRefusal(undefined);
    const binding = {
      metadata: { name: 'admins', namespace: name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
      subjects: people.map((person) => ({ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: person })),
    };
    const steps = [
      () => create(NAMESPACES, { metadata: { name } }),
      ...(people.length > 0 ? [() => create(ROLE_BINDINGS, binding)] : []),
      ...(Object.keys(hard).length > 0
        ? [() => create(QUOTAS, { metadata: { name: 'tenant', namespace: name }, spec: { hard } })]
        : []),
    ];
    try {
      for (const [index, step] of steps.entries()) {
        if (index < done) continue;
        await step();
        setDone(index + 1);
      }
      onClose();
    } catch (error) {
      setRefusal(asRefusal(error));
      setBusy(false);
    }
  };

  return (
    <Modal title={en.tenants.new} onClose={onClose} className="max-w-md">
      <form
        className="flex min-h-0 flex-col"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <div className="flex flex-col gap-4 overflow-y-auto px-5 py-4">
          <FormField label={en.tenants.name} problems={nameProblems} hint={en.tenants.nameHint}>
            {(control) => (
              <input
                {...control}
                autoFocus
                required
                disabled={done > 0}
                value={name}
                spellCheck={false}
                autoComplete="off"
                onChange={({ target }) => setName(target.value)}
                className={CONTROL}
              />
            )}
          </FormField>
          <FormField label={en.tenants.admins} problems={undefined} hint={en.tenants.adminsHint}>
            {(control) => (
              <input
                {...control}
                value={admins}
                spellCheck={false}
                autoComplete="off"
                onChange={({ target }) => setAdmins(target.value)}
                className={CONTROL}
              />
            )}
          </FormField>
          <div className="grid grid-cols-2 gap-4">
            <FormField label={en.tenants.machinesLimit} problems={undefined} hint={en.tenants.limitHint}>
              {(control) => (
                <input
                  {...control}
                  type="number"
                  min={0}
                  step={1}
                  value={machines}
                  onChange={({ target }) => setMachines(target.value)}
                  className={CONTROL}
                />
              )}
            </FormField>
            <FormField label={en.tenants.memoryLimit} problems={undefined} hint={en.tenants.limitHint}>
              {(control) => (
                <input
                  {...control}
                  type="number"
                  min={0}
                  step={1}
                  value={memory}
                  onChange={({ target }) => setMemory(target.value)}
                  className={CONTROL}
                />
              )}
            </FormField>
          </div>
          {refusal && (
            <Trouble
              title={done > 0 ? en.tenants.partly(name) : en.tenants.refused}
              detail={refusal.message}
              code={refusal.reason}
            />
          )}
        </div>
        <div className="flex justify-end gap-2 border-t border-line px-4 py-3">
          <Button onClick={onClose}>{en.cancel}</Button>
          <Button type="submit" look="Primary" disabled={busy || name === '' || nameProblems.length > 0}>
            {en.tenants.create}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
