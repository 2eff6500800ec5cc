import { virtualMachineImages, type KindDefinition, type NewObject, type VirtualMachineImageSpec, type VirtualMachineSpec } from '@corral/contracts';
import type { ApiStack } from './api-stack.ts';
import { bzImage } from './boot-bytes.ts';

/** Wishes as a user writes them: what the schema fills in may be left out. */
export const aVm = (name: string, spec: Partial<VirtualMachineSpec> = {}, namespace = 'default'): NewObject<VirtualMachineSpec> => ({
  metadata: { name, namespace },
  spec: { source: { image: 'tiny' }, ...spec } as VirtualMachineSpec,
});

export const anImage = (name: string, spec: Partial<VirtualMachineImageSpec>): NewObject<VirtualMachineImageSpec> => ({
  metadata: { name },
  spec: spec as VirtualMachineImageSpec,
});

/** Uploads bytes; the result is what an image's spec names. */
export async function upload(stack: ApiStack, bytes: Buffer): Promise<{ readonly url: string; readonly sha256: string }> {
  const response = await stack.fetch('/apis/corral.dev/v1/artifacts', { method: 'POST', body: new Uint8Array(bytes) });
  if (response.status !== 201) throw new Error(`upload answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as { url: string; sha256: string };
}

/** The image that `aVm` is of. */
export async function addTinyImage(stack: ApiStack, spec: Partial<VirtualMachineImageSpec> = {}): Promise<void> {
  const kernel = await upload(stack, bzImage());
  await stack.admin.create(virtualMachineImages, anImage('tiny', { kernel: { url: kernel.url }, ...spec }));
}

/** Changes an object as `kubectl edit` does, trying again when someone else was faster. */
export async function edit<Spec, Status>(
  stack: ApiStack,
  kind: KindDefinition<Spec, Status>,
  namespace: string | undefined,
  name: string,
  change: (spec: Spec) => Spec,
): Promise<void> {
  for (;;) {
    const object = await stack.admin.get(kind, namespace, name);
    if (!object?.spec) throw new Error(`${name} is gone`);
    try {
      await stack.admin.replace(kind, { ...object, spec: change(object.spec) });
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'object.conflict')) throw error;
    }
  }
}
