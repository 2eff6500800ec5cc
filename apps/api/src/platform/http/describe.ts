import type { RouteDescription } from '@corral/api-machinery';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { RouteOptions } from './http-server.ts';

/** What a controller's route is for, where the OpenAPI document will look for it. */
export const Describe = (description: RouteDescription, options: RouteOptions = {}): ReturnType<typeof RouteConfig> => RouteConfig({ ...options, description });
