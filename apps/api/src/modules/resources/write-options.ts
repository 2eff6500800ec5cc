import type { FieldValidation, Write } from '@corral/api-machinery';
import type { KindDefinition, KubeObject } from '@corral/contracts';
import type { Actor } from '../../platform/auth/user.ts';

/** Which object of a kind. */
export interface ObjectAddress {
  readonly namespace: string | undefined;
  readonly name: string;
}

export interface WriteOptions {
  readonly user: Actor;
  /** Who owns the fields written, in managedFields. */
  readonly fieldManager: string;
  readonly dryRun: boolean;
  /** Absent: the kind's own default. */
  readonly fieldValidation?: FieldValidation | undefined;
  /** Told what was let pass but should be known. */
  readonly warn?: (warning: string) => void;
  /** Written in the transaction that creates the object. */
  readonly beside?: (kind: KindDefinition, object: KubeObject) => readonly Write[];
}

/** Of server-side apply. */
export interface ApplyOptions extends WriteOptions {
  /** Take fields from whoever manages them with other values. */
  readonly force: boolean;
  /** Which door: status, or everything else. */
  readonly subresource?: 'status';
  /** Called before an object is created, which is another right than to change one; refuses by throwing. */
  readonly authorizeCreate: () => void | Promise<void>;
}
