import { Module } from '@nestjs/common';
import { NamespaceReconciler } from './namespace.reconciler.ts';

/** Namespaces that always exist, and the end of those that are deleted. */
@Module({ providers: [NamespaceReconciler] })
export class NamespacesModule {}
