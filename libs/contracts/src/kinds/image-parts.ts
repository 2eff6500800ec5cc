import { z } from 'zod';

/** The roles an artifact can play, which are also the keys of an image's spec and of status.artifacts. */
export const ARTIFACT_ROLES = ['kernel', 'initrd', 'disk', 'cdrom', 'floppy', 'multiboot'] as const;
export type ArtifactRole = (typeof ARTIFACT_ROLES)[number];

export const StoredArtifact = z.object({ key: z.string(), sha256: z.string(), sizeBytes: z.number().int() });
export type StoredArtifact = z.output<typeof StoredArtifact>;

export const StoredArtifacts = z.partialRecord(z.enum(ARTIFACT_ROLES), StoredArtifact);
export type StoredArtifacts = z.output<typeof StoredArtifacts>;

/**
 * Everything a guest can see of its image, which is also what its `imageDigest` is over. Whoever came from an image keeps
 * its parts: with them a machine starts and a snapshot is restored after the image has changed or gone.
 */
export const ImageParts = z.object({
  artifacts: StoredArtifacts,
  commandLine: z.string(),
  guestAgent: z.boolean(),
  acpi: z.boolean(),
});
export type ImageParts = z.output<typeof ImageParts>;
