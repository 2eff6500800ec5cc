import { keyQueueContract } from '@corral/testing';
import { LocalQueue } from './local-queue.ts';

keyQueueContract('the queue inside one process', () => new LocalQueue());
