import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { manifest, type KubectlSubject } from './kubectl-programs.ts';

/** Ways to change objects from what they should be: apply of both kinds, diff, edit, replace, patches. */
export function applyCases(subject: () => KubectlSubject): void {
  it('applies, applies again unchanged, changes by apply, and deletes', async () => {
    const { kubectl } = subject();
    expect(await kubectl.ok(['apply', '-f', '-'], manifest('applied'))).toBe('virtualmachine.corral.dev/applied created\n');
    expect(await kubectl.ok(['apply', '-f', '-'], manifest('applied'))).toBe('virtualmachine.corral.dev/applied unchanged\n');
    expect(await kubectl.ok(['apply', '-f', '-'], manifest('applied', { powerState: 'Paused' }))).toBe('virtualmachine.corral.dev/applied configured\n');
    expect(await kubectl.ok(['get', 'vm', 'applied', '-o', 'jsonpath={.spec.powerState} {.metadata.generation}'])).toBe('Paused 2');
    // Taking the field out of the manifest takes it out of the object, where the default comes back.
    await kubectl.ok(['apply', '-f', '-'], manifest('applied'));
    expect(await kubectl.ok(['get', 'vm', 'applied', '-o', 'jsonpath={.spec.powerState}'])).toBe('Running');
    expect(await kubectl.ok(['delete', 'vm', 'applied'])).toContain('"applied" deleted');
    expect((await kubectl.run(['get', 'vm', 'applied'])).stderr).toBe('Error from server (NotFound): virtualmachines.corral.dev "applied" not found\n');
  });

  it('diffs and dry-runs on the server', async () => {
    const { kubectl } = subject();
    await kubectl.ok(['apply', '-f', '-'], manifest('diffed'));
    const { exitCode, stdout } = await kubectl.run(['diff', '-f', '-'], manifest('diffed', { powerState: 'Stopped' }));
    expect([exitCode, stdout]).toEqual([1, expect.stringContaining('+  powerState: Stopped')]);
    expect(await kubectl.ok(['apply', '--dry-run=server', '-f', '-'], manifest('never-stored'))).toContain('created (server dry run)');
    expect((await kubectl.run(['get', 'vm', 'never-stored'])).exitCode).toBe(1);
  });

  it('applies on the server: creates, changes, and leaves alone what is so already', async () => {
    const { kubectl, field } = subject();
    const apply = (spec: object = {}) => kubectl.ok(['apply', '--server-side', '-f', '-'], manifest('served', spec));
    expect(await apply({ powerState: 'Paused' })).toBe('virtualmachine.corral.dev/served serverside-applied\n');
    const version = await field('served', '.metadata.resourceVersion');
    await apply({ powerState: 'Paused' });
    expect(await field('served', '.metadata.resourceVersion')).toBe(version);
    // What is applied no longer goes, and its default is back.
    await apply();
    expect(await field('served', '.spec.powerState')).toBe('Running');
    expect(await field('served', '.metadata.managedFields[*].manager}{" "}{.metadata.managedFields[*].operation')).toBe('kubectl Apply');
  });

  it('refuses to apply over what another manager applied, unless forced', async () => {
    const { kubectl, field, refusal, serverValidation } = subject();
    const args = (manager: string, ...more: string[]) => ['apply', '--server-side', ...serverValidation, '--field-manager', manager, ...more, '-f', '-'];
    await kubectl.ok(args('one'), manifest('fought', { powerState: 'Paused' }));
    const refused = await refusal(args('two'), manifest('fought', { powerState: 'Stopped' }));
    expect(refused).toMatch(/conflict with "one": \.spec\.powerState/);
    await kubectl.ok(args('two', '--force-conflicts'), manifest('fought', { powerState: 'Stopped' }));
    expect(await field('fought', '.spec.powerState')).toBe('Stopped');
    // Both say the same about the rest, and own it together: it stays until neither does.
    await kubectl.ok(args('one'), JSON.stringify({ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name: 'fought' } }));
    expect(await field('fought', '.spec.memory')).toBe('128Mi');
  });

  it('goes over from client-side apply to server-side apply without a conflict', async () => {
    const { kubectl, field, minor } = subject();
    await kubectl.ok(['apply', '-f', '-'], manifest('moved', { powerState: 'Paused' }));
    const { exitCode, stderr } = await kubectl.run(['apply', '--server-side', '-f', '-'], manifest('moved', { powerState: 'Stopped' }));
    expect([exitCode, stderr.replace(/^Warning.*$/gm, '').trim()]).toEqual([0, '']);
    expect(await field('moved', '.spec.powerState')).toBe('Stopped');
    // kubectl itself rewrites managedFields since 1.26.
    if (minor < 26) return;
    await kubectl.ok(['apply', '--server-side', '-f', '-'], manifest('moved'));
    expect(await field('moved', '.spec.powerState')).toBe('Running');
    // The annotation, the way back to client-side apply, has a manager of its own.
    expect((await field('moved', '.metadata.managedFields[*].manager')).split(' ').sort()).toEqual(['kubectl', 'kubectl-last-applied']);
  });

  it('diffs and dry-runs what would be applied on the server', async () => {
    const { kubectl } = subject();
    await kubectl.ok(['apply', '--server-side', '-f', '-'], manifest('compared'));
    const { exitCode, stdout } = await kubectl.run(['diff', '--server-side', '-f', '-'], manifest('compared', { powerState: 'Stopped' }));
    expect([exitCode, stdout]).toEqual([1, expect.stringContaining('+  powerState: Stopped')]);
    expect((await kubectl.run(['diff', '--server-side', '-f', '-'], manifest('compared'))).exitCode).toBe(0);
    await kubectl.ok(['apply', '--server-side', '--dry-run=server', '-f', '-'], manifest('not-stored'));
    expect((await kubectl.run(['get', 'vm', 'not-stored'])).exitCode).toBe(1);
  });

  it('edits in an editor, and shows what the server has against it', async () => {
    const { kubectl, api, field, namespace } = subject();
    await kubectl.ok(['create', '-f', '-'], manifest('revised'));
    const editor = (script: string): Record<string, string> => {
      const file = join(api.home, namespace, 'editor.sh');
      writeFileSync(file, `#!/bin/sh\n${script}\n`);
      chmodSync(file, 0o755);
      return { KUBE_EDITOR: file };
    };
    expect(await kubectl.ok(['edit', 'vm', 'revised'], '', editor('sed -i "s/powerState: Running/powerState: Paused/" "$1"'))).toContain('edited');
    expect(await field('revised', '.spec.powerState')).toBe('Paused');
    const refused = await kubectl.run(['edit', 'vm', 'revised'], '', editor('sed -i "s/powerState: Paused/powerState: Flying/" "$1"'));
    expect([refused.exitCode, refused.stdout + refused.stderr]).toEqual([1, expect.stringContaining('virtualmachines.corral.dev "revised" is invalid')]);
  });

  it('replaces by force: deletes and creates anew', async () => {
    const { kubectl, field } = subject();
    await kubectl.ok(['create', '-f', '-'], manifest('renewed'));
    const before = await field('renewed', '.metadata.uid');
    await kubectl.ok(['replace', '--force', '-f', '-'], manifest('renewed'));
    expect(await field('renewed', '.metadata.uid')).not.toBe(before);
  });

  it('patches a kind of its own by JSON and merge patch, and one of Kubernetes’s strategically too', async () => {
    const { kubectl, namespace, refusal } = subject();
    await kubectl.ok(['create', '-f', '-'], manifest('patched'));
    expect(await refusal(['patch', 'vm', 'patched', '--type', 'strategic', '-p', '{"spec":{"powerState":"Paused"}}'])).toMatch(/not supported|UnsupportedMediaType/);
    expect(await refusal(['patch', 'vm', 'patched', '--type', 'json', '-p', '[{"op":"test","path":"/spec/powerState","value":"Nope"}]'])).toContain('Invalid');
    await kubectl.ok(['patch', 'ns', namespace, '-p', '{"metadata":{"labels":{"team":"a"},"finalizers":["example.com/x"]}}']);
    await kubectl.ok(['patch', 'ns', namespace, '-p', '{"metadata":{"labels":{"team":null},"$deleteFromPrimitiveList/finalizers":["example.com/x"]}}']);
    expect(await kubectl.ok(['get', 'ns', namespace, '-o', 'jsonpath={.metadata.finalizers}{.metadata.labels.team}'])).toBe('');
  });

  it('does not overwrite a label unless told to', async () => {
    const { kubectl, refusal } = subject();
    await kubectl.ok(['create', '-f', '-'], manifest('tagged'));
    expect(await refusal(['label', 'vm', 'tagged', 'app=other'])).toContain('--overwrite is false');
    await kubectl.ok(['label', 'vm', 'tagged', 'app=other', '--overwrite']);
    expect(await refusal(['label', 'vm', 'tagged', 'app=not valid', '--overwrite'])).toMatch(/invalid label value/);
  });

  it('tries a creation on the client and on the server, and stores neither', async () => {
    const { kubectl } = subject();
    for (const where of ['client', 'server']) expect(await kubectl.ok(['create', `--dry-run=${where}`, '-o', 'name', '-f', '-'], manifest('tried'))).toBe('virtualmachine.corral.dev/tried\n');
    expect((await kubectl.run(['get', 'vm', 'tried'])).exitCode).toBe(1);
  });
}
