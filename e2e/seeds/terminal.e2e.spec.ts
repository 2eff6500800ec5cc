import { deleteVm, runningVm, SerialTerminal } from '../api.ts';

describe('W2: a terminal in which full-screen programs work', () => {
  it('vi edits and saves a file through the serial terminal', async () => {
    const vm = await runningVm();
    const terminal = await SerialTerminal.open(vm);
    terminal.type('vi /tmp/note\n');
    // vi's own screen, not the prompt: it marks the lines after the end of the file.
    await terminal.see(/\x1b\[2;1H~/);
    terminal.type('iwritten in vi\x1b');
    await terminal.see(/written in vi/);
    terminal.type(':wq\n');
    await terminal.see(/\[?'?\/tmp\/note'?.*(written|1L|lines)/i);
    terminal.type('echo "<$(cat /tmp/note)>"\n');
    await terminal.see(/<written in vi>/);
    terminal.close();
    await deleteVm(vm);
  });

  it('a second viewer gets the scrollback, and both see what either types', async () => {
    const vm = await runningVm();
    const one = await SerialTerminal.open(vm);
    one.type('echo early-$((1+1))\n');
    await one.see(/early-2/);
    const two = await SerialTerminal.open(vm);
    await two.see(/early-2/);
    two.type('echo late-$((1+2))\n');
    await Promise.all([one.see(/late-3/), two.see(/late-3/)]);
    one.close();
    two.close();
    await deleteVm(vm);
  });
});
