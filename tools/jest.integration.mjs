import { jest } from '@jest/globals';

// Real servers start in their own time; every wait inside a test has its own shorter deadline.
jest.setTimeout(120_000);
