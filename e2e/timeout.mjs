import { jest } from '@jest/globals';

// Guests boot, snapshots upload: minutes are the limit here, and every wait has its own shorter deadline.
jest.setTimeout(180_000);
