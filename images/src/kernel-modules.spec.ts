import { modulesDep, type KernelModule } from './kernel-modules.ts';

const module = (name: string, depends: string[] = []): KernelModule => ({
  name,
  path: `lib/modules/6.1/kernel/${name}.ko`,
  depends,
  content: Buffer.alloc(0),
});

describe('modules.dep', () => {
  it('names for each module all it needs, each before what it itself needs', () => {
    const modules = [
      module('crc16'),
      module('mbcache'),
      module('jbd2', ['crc16']),
      module('ext4', ['jbd2', 'mbcache', 'crc16']),
    ];
    expect(modulesDep(modules, '6.1').split('\n')).toEqual([
      'kernel/crc16.ko:',
      'kernel/mbcache.ko:',
      'kernel/jbd2.ko: kernel/crc16.ko',
      'kernel/ext4.ko: kernel/jbd2.ko kernel/mbcache.ko kernel/crc16.ko',
      '',
    ]);
  });
});
