import { Module } from '@nestjs/common';
import { AccessBootstrap } from './bootstrap.ts';
import { ClusterRoleReconciler } from './cluster-role.reconciler.ts';
import { ReviewRoutes } from './review.routes.ts';
import { RoleAdmission } from './role.admission.ts';

/** Roles that come with the server, and questions about rights. */
@Module({ providers: [AccessBootstrap, ReviewRoutes] })
export class AccessModule {}

/** What roles and bindings may say, wherever they are written. */
@Module({ providers: [RoleAdmission] })
export class RoleAdmissionModule {}

/** What gathers aggregated roles. */
@Module({ providers: [ClusterRoleReconciler] })
export class AccessControllersModule {}
