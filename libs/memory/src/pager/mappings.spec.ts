import { parseMappings } from './mappings.ts';

const MAPS = `00400000-00401000 r--p 00000000 08:01 77                         /usr/bin/node
7f0000000000-7f0000400000 rw-p 00000000 00:01 1025                       /memfd:base (deleted)
7f0000400000-7f0000800000 rw-p 00000000 00:00 0
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
`;

it('mappings are cut to what was asked about, and tell anonymous memory from a file’s', () => {
  expect(parseMappings(MAPS, 0x7f00003ff000, 0x7f0000500000)).toEqual([
    { from: 0x7f00003ff000, to: 0x7f0000400000, isAnonymous: false },
    { from: 0x7f0000400000, to: 0x7f0000500000, isAnonymous: true },
  ]);
  expect(parseMappings('', 0, 1)).toEqual([]);
});
