import { conditionLook } from './condition-look.ts';

describe('conditionLook', () => {
  it.each<[string, 'True' | 'False' | 'Unknown', string, string]>([
    ['Ready', 'True', 'AgentAnswered', 'Check'],
    ['Ready', 'False', 'Starting', 'Triangle'],
    ['Ready', 'Unknown', 'NodeUnknown', 'Dashed'],
    ['Hibernated', 'True', 'Idle', 'Check'],
    ['Hibernated', 'False', 'Awake', 'Check'],
    ['Hibernated', 'False', 'HibernationFailed', 'Triangle'],
    ['MemoryPressure', 'False', 'SufficientMemory', 'Check'],
    ['MemoryPressure', 'True', 'HostStalls', 'Triangle'],
    ['GuestPanicked', 'True', 'Panic', 'Triangle'],
    ['RestartedWithoutState', 'True', 'NoSnapshot', 'Triangle'],
    ['Scheduled', 'False', 'Unschedulable', 'Triangle'],
  ])('%s=%s for %s looks like a %s', (type, status, reason, shape) => expect(conditionLook({ type, status, reason }).shape).toBe(shape));
});
