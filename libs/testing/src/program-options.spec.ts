import { count, flag, oneOf, readOptions, someOf, text } from './program-options.ts';

const OPTIONS = {
  rounds: count(4, 'how often'),
  kind: oneOf(['lease', 'secret'], 'lease', 'what is made'),
  only: someOf(['get', 'list'], 'what is measured'),
  output: text('FILE', 'where the result goes'),
  tls: flag('over TLS'),
};
const read = (...args: string[]) => readOptions('npm run some', OPTIONS, args);

describe('options of a program', () => {
  it('are what was said, and else what the program says', () => {
    expect(read()).toEqual({ type: 'Values', values: { rounds: 4, kind: 'lease', only: ['get', 'list'], output: undefined, tls: false } });
    expect(read('--rounds', '2.5', '--kind=secret', '--only', 'list', '--output', 'x.json', '--tls')).toEqual({
      type: 'Values', values: { rounds: 2.5, kind: 'secret', only: ['list'], output: 'x.json', tls: true },
    });
  });

  it.each([
    [['--rounds', 'many'], '--rounds: must be a number'],
    [['--rounds='], '--rounds: must be a number'],
    [['--rounds=-1'], '--rounds: must be a number'],
    [['--kind', 'pod'], '--kind: pod is none of lease, secret'],
    [['--only', 'get,put'], '--only: put is none of get, list'],
    [['--colour'], "Unknown option '--colour'"],
    [['stray'], "Unexpected argument 'stray'"],
    [['--output'], "Option '--output <value>' argument missing"],
  ])('are refused in a line that names them: %j', (args, expected) => {
    const refused = read(...args);
    expect(refused).toMatchObject({ type: 'Refused', text: expect.stringContaining(`npm run some: ${expected}`) as string });
  });

  it('are all in the help, with what they are unless told', () => {
    expect(read('--rounds', 'many', '-h')).toEqual({
      type: 'Help',
      text: [
        'Usage: npm run some -- [options]',
        '  --rounds N           how often (4)',
        '  --kind lease|secret  what is made (lease)',
        '  --only A,B           what is measured: get, list (all)',
        '  --output FILE        where the result goes',
        '  --tls                over TLS',
        '  --help               this text',
      ].join('\n'),
    });
  });
});
