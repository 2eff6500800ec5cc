import { isStatus, Refusal } from '../../api/refusal.ts';

/** Puts a file into the guest, streamed from disk. fetch cannot say how far an upload is; XMLHttpRequest can. */
export function upload(url: string, file: File, onPercent: (percent: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const transfer = new XMLHttpRequest();
    transfer.open('PUT', url);
    transfer.setRequestHeader('X-Corral-Console', '1');
    transfer.setRequestHeader('Content-Type', 'application/octet-stream');
    transfer.upload.onprogress = ({ loaded, total }) =>
      onPercent(total === 0 ? 100 : Math.floor((loaded / total) * 100));
    transfer.onerror = () => reject(new Refusal(0, 'Unreachable', transfer.statusText));
    transfer.onload = () => {
      if (transfer.status < 300) return resolve();
      let body: unknown;
      try {
        body = JSON.parse(transfer.responseText);
      } catch {
        body = undefined;
      }
      reject(
        isStatus(body)
          ? new Refusal(transfer.status, body.reason ?? '', body.message ?? '', { status: body })
          : new Refusal(transfer.status, '', transfer.statusText),
      );
    };
    transfer.send(file);
  });
}
