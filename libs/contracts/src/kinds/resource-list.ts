import { z } from 'zod';
import { parseQuantity } from '../quantity.ts';

/** A custom issue with this parameter says: the value cannot be read at all, which is 400 and not 422. */
export const UNREADABLE = 'unreadable';

/** Source: k8s.io/apimachinery/pkg/api/resource, ErrFormatWrong. */
const BAD_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/** A Kubernetes quantity; a bare JSON number is one too, as in Kubernetes. */
export const Quantity = z
  .union([z.string(), z.number()])
  .transform(String)
  .refine((text) => parseQuantity(text) !== undefined, { message: BAD_QUANTITY, params: { [UNREADABLE]: true } })
  .describe('A Kubernetes quantity such as 10, 500m or 2Gi.');

/** Names of resources and how much of each. Source: k8s.io/api/core/v1, ResourceList. */
export const ResourceList = z.record(z.string(), Quantity);
export type ResourceList = z.output<typeof ResourceList>;
