import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import { Condition, findCondition, type KubeObject } from '../metadata.ts';
import type { FieldProblem } from '../problems.ts';
import { MIB, parseBytes } from '../quantity.ts';
import { BytesQuantity, Sha256 } from './fields.ts';
import { StoredArtifacts } from './image-parts.ts';
import { MAX_MEMORY_MIB, MIN_MEMORY_MIB, VM_CLASSES } from './virtual-machine.ts';

/** Bytes an image is made of: `https://…`, `http://…`, or the `artifact:<sha256>` an upload answered with. */
export const ImageArtifact = z.strictObject({
  url: z.string().regex(/^(https?:\/\/.+|artifact:[0-9a-f]{64})$/, 'must be an http(s) URL, or artifact:<sha256> from an upload'),
  sha256: Sha256.optional().describe('Refused when the bytes have another digest.'),
});
export type ImageArtifact = z.output<typeof ImageArtifact>;

export const VirtualMachineImageSpec = z.strictObject({
  description: z.string().optional().describe('What it is, for people.'),
  kernel: ImageArtifact.optional().describe('A Linux bzImage.'),
  initrd: ImageArtifact.optional().describe('Its initial RAM disk.'),
  commandLine: z.string().default('').describe('Kernel command line.'),
  disk: ImageArtifact.optional().describe('A raw hard disk; may stand beside a kernel, whose root it then is.'),
  cdrom: ImageArtifact.optional().describe('An ISO 9660 CD-ROM.'),
  floppy: ImageArtifact.optional().describe('A raw floppy, 160 KiB to 2.88 MiB.'),
  multiboot: ImageArtifact.optional().describe('A 32-bit Multiboot kernel.'),
  memory: BytesQuantity.default('128Mi').describe('RAM of a machine that names none.'),
  minimumMemory: BytesQuantity.optional().describe('Machines with less are refused.'),
  residentMemory: BytesQuantity.optional().describe('How much of the node’s memory the RAM of a machine that does not say may take, or all of its RAM where that is less.'),
  guestAgent: z.boolean().default(false).describe('Whether the guest runs Corral’s agent: exec and files work, and Ready means it answered.'),
  class: z.enum(VM_CLASSES).optional().describe('Class of a machine that names none: small or compute.'),
  acpi: z.boolean().default(false).describe('Whether the machine has ACPI. Tickless kernels idle cheaper with it.'),
});
export type VirtualMachineImageSpec = z.output<typeof VirtualMachineImageSpec>;

export const GoldenSnapshot = z.object({
  memoryMiB: z.number().int(),
  v86Build: z.string(),
  /** SHA-256 and object key of the snapshot manifest. */
  digest: z.string(),
  manifestKey: z.string(),
  sizeBytes: z.number().int(),
});
export type GoldenSnapshot = z.output<typeof GoldenSnapshot>;

export const VirtualMachineImageStatus = z.object({
  observedGeneration: z.number().int().optional(),
  /** Ready: machines can start. Fetched: every artifact is in S3. Baked: a golden snapshot fits the default memory. */
  conditions: z.array(Condition).optional(),
  artifacts: StoredArtifacts.optional(),
  /** SHA-256 over what a guest can see of the image: artifacts, command line, devices. */
  digest: z.string().optional(),
  sizeBytes: z.number().int().optional(),
  goldenSnapshots: z.array(GoldenSnapshot).optional(),
});
export type VirtualMachineImageStatus = z.output<typeof VirtualMachineImageStatus>;
export type VirtualMachineImage = KubeObject<VirtualMachineImageSpec, VirtualMachineImageStatus>;

export const virtualMachineImages: KindDefinition<VirtualMachineImageSpec, VirtualMachineImageStatus> = {
  group: 'corral.dev',
  version: 'v1',
  kind: 'VirtualMachineImage',
  plural: 'virtualmachineimages',
  singular: 'virtualmachineimage',
  shortNames: ['vmimage', 'vmimages'],
  categories: ['corral'],
  scope: 'Cluster',
  nameRule: 'DnsSubdomain',
  builtIn: false,
  body: z.strictObject({ spec: VirtualMachineImageSpec }),
  status: VirtualMachineImageStatus,
  columns: [
    { name: 'Ready', type: 'string', description: 'Whether machines can start from it.', value: (image) => findCondition(image.status?.conditions, 'Ready')?.status ?? 'Unknown' },
    { name: 'Reason', type: 'string', description: 'Why it is Ready or not.', value: (image) => findCondition(image.status?.conditions, 'Ready')?.reason ?? '' },
    { name: 'Baked', type: 'string', description: 'Memory sizes with a golden snapshot.', value: (image) => (image.status?.goldenSnapshots ?? []).map(({ memoryMiB }) => `${memoryMiB}Mi`).join(',') },
    { name: 'Memory', type: 'string', description: 'Default memory.', value: (image) => image.spec?.memory ?? '' },
    { name: 'Agent', type: 'boolean', description: 'Whether the guest agent is inside.', priority: 1, value: (image) => image.spec?.guestAgent ?? false },
  ],
  selectableFields: {},
  validate(image) {
    const problems: FieldProblem[] = [];
    const spec = image.spec;
    if (!spec) return problems;
    const bootable = (['kernel', 'disk', 'cdrom', 'floppy', 'multiboot'] as const).filter((role) => spec[role]);
    const diskBesideKernel = bootable.length === 2 && spec.kernel && spec.disk;
    if (bootable.length !== 1 && !diskBesideKernel) {
      problems.push({ field: 'spec', reason: 'FieldValueInvalid', message: 'exactly one of kernel, disk, cdrom, floppy, multiboot must be set; a disk may also stand beside a kernel' });
    }
    if (spec.initrd && !spec.kernel) {
      problems.push({ field: 'spec.initrd', reason: 'FieldValueForbidden', message: 'needs spec.kernel' });
    }
    for (const field of ['memory', 'minimumMemory', 'residentMemory'] as const) {
      const text = spec[field];
      const bytes = text === undefined ? undefined : parseBytes(text);
      if (bytes !== undefined && (bytes > MAX_MEMORY_MIB * MIB || bytes < MIN_MEMORY_MIB * MIB || bytes % MIB !== 0)) {
        problems.push({ field: `spec.${field}`, reason: 'FieldValueInvalid', message: `must be a whole number of MiB from ${MIN_MEMORY_MIB}Mi to ${MAX_MEMORY_MIB}Mi` });
      }
    }
    return problems;
  },
};
