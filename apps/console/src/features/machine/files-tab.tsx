import type { FileEntry, FileList, VirtualMachine } from '@corral/contracts';
import {
  Button,
  classNames,
  formatAge,
  formatSize,
  IconButton,
  Skeleton,
  type DisplayStatus,
  type MachineSays,
} from '@corral/ui';
import { Link } from '@tanstack/react-router';
import { CornerLeftUp, Download, File, FolderClosed, Link2, Trash2, Upload } from 'lucide-react';
import { lazy, Suspense, useCallback, useEffect, useRef, useState, type ReactElement } from 'react';
import { asRefusal, type Refusal } from '../../api/refusal.ts';
import { request, send } from '../../api/request.ts';
import { machinePath } from '../../api/resources.ts';
import { Trouble } from '../../app/trouble.tsx';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { upload } from './upload.ts';

const Question = lazy(async () => ({ default: (await import('../../app/modal.tsx')).Question }));

interface Uploading {
  readonly name: string;
  readonly percent: number;
}

/** The guest's files, through its agent: look, take out, put in. */
export function FilesTab({
  vm,
  status,
}: {
  readonly vm: VirtualMachine;
  readonly status: DisplayStatus<MachineSays>;
}): ReactElement {
  const { namespace = '', name } = vm.metadata;
  const [path, setPath] = useState('/root');
  const [typed, setTyped] = useState(path);
  const [list, setList] = useState<FileList>();
  const [refusal, setRefusal] = useState<Refusal>();
  const [uploading, setUploading] = useState<readonly Uploading[]>([]);
  const [removing, setRemoving] = useState<FileEntry>();
  const [over, setOver] = useState(false);
  const [version, setVersion] = useState(0);
  const chooser = useRef<HTMLInputElement>(null);
  const now = useNow();
  const running = status.says === 'Running' || status.says === 'NotReady';
  const url = useCallback(
    (of: string, query = '') => `${machinePath(namespace, name, 'files')}?path=${encodeURIComponent(of)}${query}`,
    [namespace, name],
  );

  useEffect(() => {
    if (!running) return undefined;
    const abort = new AbortController();
    request<FileList>(url(path, '&list=true'), { signal: abort.signal }).then(
      (answer) => {
        setList(answer);
        setRefusal(undefined);
      },
      (error: unknown) => !abort.signal.aborted && setRefusal(asRefusal(error)),
    );
    return () => abort.abort();
  }, [url, path, running, version]);

  const open = (next: string): void => {
    setPath(next);
    setTyped(next);
  };
  const refresh = (): void => setVersion((number) => number + 1);
  const add = async (files: readonly File[]): Promise<void> => {
    for (const file of files) {
      const progress = (percent: number): void =>
        setUploading((all) => [...all.filter((one) => one.name !== file.name), { name: file.name, percent }]);
      progress(0);
      try {
        await upload(url(joinPath(path, file.name)), file, progress);
        refresh();
      } catch (error) {
        setRefusal(asRefusal(error));
      }
      setUploading((all) => all.filter((one) => one.name !== file.name));
    }
  };

  if (!running)
    return (
      <p className="grid flex-1 place-items-center p-8 text-ink2">
        {en.files.needsRunning(en.machineSays[status.says])}
      </p>
    );
  if (refusal?.reason === 'GuestAgentUnavailable') {
    return (
      <div className="p-5">
        <Trouble title={en.files.noAgent} detail={en.files.noAgentHint}>
          <Link
            to="/machines/$namespace/$name/$tab"
            params={{ namespace, name, tab: 'terminal' }}
            search={(previous) => ({ ns: previous.ns })}
            className="mt-2 inline-block text-accent hover:underline"
          >
            {en.files.openSerial}
          </Link>
        </Trouble>
      </div>
    );
  }
  const entries = [...(list?.entries ?? [])].sort(
    (a, b) => Number(b.type === 'Directory') - Number(a.type === 'Directory') || (a.name < b.name ? -1 : 1),
  );
  return (
    <div
      className="relative flex min-h-0 flex-1 flex-col"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void add([...event.dataTransfer.files]);
      }}
    >
      <form
        className="flex items-center gap-2 border-b border-line px-4 py-2.5"
        onSubmit={(event) => {
          event.preventDefault();
          open(typed);
        }}
      >
        <IconButton label={en.files.up} disabled={path === '/'} onClick={() => open(parentOf(path))}>
          <CornerLeftUp aria-hidden size={15} />
        </IconButton>
        <input
          aria-label={en.files.path}
          value={typed}
          spellCheck={false}
          onChange={({ target }) => setTyped(target.value)}
          className="h-8 min-w-0 flex-1 rounded-control border border-edge bg-canvas px-3 font-mono max-phone:h-11 max-phone:text-[16px]"
        />
        <Button icon={<Upload aria-hidden size={14} />} onClick={() => chooser.current?.click()}>
          {en.files.upload}
        </Button>
        <input
          ref={chooser}
          type="file"
          multiple
          hidden
          onChange={({ target }) => {
            void add([...(target.files ?? [])]);
            target.value = '';
          }}
        />
      </form>
      {refusal && (
        <div className="p-4">
          <Trouble
            title={en.trouble.failed(en.files.what)}
            detail={refusal.message}
            code={refusal.reason}
            onRetry={refresh}
          />
        </div>
      )}
      {uploading.map((one) => (
        <p key={one.name} role="status" className="border-b border-line px-4 py-2 text-ink2">
          {en.files.uploading(one.name, one.percent)}
        </p>
      ))}
      <div
        className={classNames(
          'min-h-0 flex-1 overflow-auto',
          over && 'outline-2 -outline-offset-4 outline-accent outline-dashed',
        )}
      >
        {list === undefined && !refusal ? (
          <div className="flex flex-col gap-3 p-5">
            <Skeleton className="h-4 w-64" />
            <Skeleton className="h-4 w-52" />
            <Skeleton className="h-4 w-56" />
          </div>
        ) : list && entries.length === 0 ? (
          <p className="p-8 text-center text-ink2">
            {en.files.empty} {en.files.drop}
          </p>
        ) : (
          <table className="w-full table-fixed">
            <thead className="text-left text-12 text-ink2">
              <tr className="h-9 border-b border-line">
                <th scope="col" className="pl-5 font-medium">
                  {en.files.columns.name}
                </th>
                <th scope="col" className="w-24 text-right font-medium">
                  {en.files.columns.size}
                </th>
                <th scope="col" className="w-24 pl-6 font-medium max-phone:hidden">
                  {en.files.columns.mode}
                </th>
                <th scope="col" className="w-28 font-medium max-phone:hidden">
                  {en.files.columns.modified}
                </th>
                <th scope="col" className="w-24">
                  <span className="sr-only">{en.machines.columns.actions}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <tr key={entry.path} className="h-9 border-b border-line hover:bg-hover/60">
                  <td className="truncate pl-5">
                    <span className="flex min-w-0 items-center gap-2.5">
                      <EntryIcon type={entry.type} />
                      {entry.type === 'Directory' ? (
                        <button
                          type="button"
                          onClick={() => open(entry.path)}
                          className="truncate font-medium hover:underline"
                        >
                          <bdi>{entry.name}</bdi>
                        </button>
                      ) : (
                        <bdi className="truncate">{entry.name}</bdi>
                      )}
                    </span>
                  </td>
                  <td className="text-right text-ink2">
                    {entry.type === 'Directory' ? '' : formatSize(entry.sizeBytes)}
                  </td>
                  <td className="pl-6 font-mono text-12 text-ink2 max-phone:hidden">{entry.mode}</td>
                  <td className="text-ink2 max-phone:hidden" title={en.moment(entry.modifiedAt)}>
                    {formatAge(entry.modifiedAt, now)}
                  </td>
                  <td>
                    <span className="flex justify-end gap-1 pr-3">
                      {entry.type === 'File' && (
                        <>
                          <a
                            href={url(entry.path)}
                            download={entry.name}
                            aria-label={en.files.download(entry.name)}
                            title={en.files.download(entry.name)}
                            className="grid size-7 place-items-center rounded-control text-ink2 hover:bg-hover hover:text-ink"
                          >
                            <Download aria-hidden size={14} />
                          </a>
                          <IconButton label={en.files.remove(entry.name)} onClick={() => setRemoving(entry)}>
                            <Trash2 aria-hidden size={14} />
                          </IconButton>
                        </>
                      )}
                    </span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
      <Suspense>
        {removing && (
          <Question
            title={en.files.removeTitle(removing.name)}
            onClose={() => setRemoving(undefined)}
            actions={
              <>
                <Button autoFocus onClick={() => setRemoving(undefined)}>
                  {en.cancel}
                </Button>
                <Button
                  look="Danger"
                  onClick={() => {
                    setRemoving(undefined);
                    send(url(removing.path), { method: 'DELETE' }).then(refresh, (error: unknown) =>
                      setRefusal(asRefusal(error)),
                    );
                  }}
                >
                  {en.verbs.deleteNow}
                </Button>
              </>
            }
          >
            <p>{en.files.removeDetail}</p>
          </Question>
        )}
      </Suspense>
    </div>
  );
}

function EntryIcon({ type }: { readonly type: FileEntry['type'] }): ReactElement {
  const Icon = type === 'Directory' ? FolderClosed : type === 'SymbolicLink' ? Link2 : File;
  return (
    <Icon
      aria-hidden
      size={15}
      className={classNames('shrink-0', type === 'Directory' ? 'text-accent' : 'text-ink3')}
    />
  );
}

const joinPath = (folder: string, name: string): string => `${folder.replace(/\/+$/, '')}/${name}`;
const parentOf = (path: string): string => path.replace(/\/+$/, '').replace(/\/[^/]*$/, '') || '/';
