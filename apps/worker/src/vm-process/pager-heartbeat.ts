import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PAGER_HEARTBEAT_FILE } from '@corral/contracts/for-vm-process';

/** The file in a machine's folder by which the node agent sees that its pager lives; the pager's thread writes to it. Throws what the file system says. */
export class PagerHeartbeat {
  readonly fd: number;
  #path: string;
  readonly #isSeen: boolean;

  constructor(folder: string) {
    this.#path = join(folder, PAGER_HEARTBEAT_FILE);
    const fd = openSync(this.#path, 'w', 0o600);
    this.#isSeen = takesRoom(fd);
    if (!this.#isSeen) {
      closeSync(fd);
      rmSync(this.#path, { force: true });
    }
    // A thread that could not write its beat would end the machine: rather is that not watched.
    this.fd = this.#isSeen ? fd : openSync('/dev/null', 'w');
  }

  /** The machine's folder has another name now, and the file went along. */
  set folder(path: string) {
    this.#path = join(path, PAGER_HEARTBEAT_FILE);
  }

  /** Nobody writes any more. */
  end(): void {
    // The folder may have got another name a moment ago: what lies there is no beat any more.
    if (this.#isSeen) ftruncateSync(this.fd, 0);
    closeSync(this.fd);
    rmSync(this.#path, { force: true });
  }
}

/** Whether the disk has room for a beat. Those to come lie in the same place. */
function takesRoom(fd: number): boolean {
  try {
    writeSync(fd, '\n', 0);
    return true;
  } catch {
    return false;
  }
}
