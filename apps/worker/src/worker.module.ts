import {
  type DynamicModule,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { ObjectStore } from '@corral/object-store';
import { type Logger, pino } from 'pino';
import { NodeAgent } from './agent/node-agent.ts';
import { type WorkerConfig } from './config.ts';

/** Ties the node agent's life to the application's. */
@Injectable()
export class NodeAgentLife implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly agent: NodeAgent,
    private readonly store: ObjectStore,
  ) {}

  onApplicationBootstrap(): Promise<void> {
    return this.agent.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.agent.stop();
    this.store.close();
  }
}

export const LOGGER = Symbol('Logger');

/** The node agent and what it is made of. */
@Module({})
export class WorkerModule {
  static register(config: WorkerConfig): DynamicModule {
    return {
      module: WorkerModule,
      providers: [
        NodeAgentLife,
        { provide: LOGGER, useFactory: () => pino({ level: config.logLevel, base: null }) },
        { provide: ObjectStore, useFactory: () => new ObjectStore(config.objectStore) },
        {
          provide: NodeAgent,
          useFactory: (store: ObjectStore, log: Logger) => new NodeAgent(config, store, log),
          inject: [ObjectStore, LOGGER],
        },
      ],
    };
  }
}
