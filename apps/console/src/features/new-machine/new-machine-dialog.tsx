import {
  apiPath,
  findCondition,
  parseBytes,
  type VirtualMachine,
  type VirtualMachineImage,
} from '@corral/contracts';
import { Button, classNames, IconButton, Kbd, StatusGlyph } from '@corral/ui';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { ChevronRight, Dices } from 'lucide-react';
import { useState, type ReactElement } from 'react';
import { createCommand } from '../../api/commands.ts';
import { asRefusal } from '../../api/refusal.ts';
import { create, IMAGES, MACHINES, SNAPSHOTS } from '../../api/resources.ts';
import { mapRefusal, type FieldProblems } from '../../api/validation.ts';
import { CommandBlock } from '../../app/command-block.tsx';
import { usePhone } from '../../app/media.ts';
import { Modal } from '../../app/modal.tsx';
import { useDefaultNamespace, useNamespace, useNamespaces } from '../../app/namespace.ts';
import { Trouble } from '../../app/trouble.tsx';
import { useCollection, useOnline } from '../../live/live.ts';
import { en } from '../../messages/en.ts';
import { DRAFT_PATHS, objectOf, parseLabels, type Draft, type DraftField } from './draft.ts';
import { CONTROL, FormField } from './form-field.tsx';
import { inventName, nextName } from './machine-name.ts';
import { ImageCards, SnapshotCards } from './source-cards.tsx';
import { useDryRun } from './use-dry-run.ts';
import { useSnapshots } from '../snapshots/use-snapshots.ts';

const MEMORY_STOPS = [32, 64, 128, 256, 512, 1024, 2047] as const;
/** Of the images machines can start from, the one that asks for least: what a newcomer is offered first. */
function quickest(images: readonly VirtualMachineImage[]): VirtualMachineImage | undefined {
  const bytesOf = ({ spec }: VirtualMachineImage): number => parseBytes(spec?.memory ?? '128Mi') ?? Infinity;
  return images
    .filter(({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True')
    .sort((a, b) => bytesOf(a) - bytesOf(b))[0];
}

const LAST_IMAGE_KEY = 'corral.last-image';
const MIB = 2 ** 20;

/** From picking a source to the open machine: two clicks, with the server's own judgement beside every field. */
export function NewMachineDialog(): ReactElement {
  const navigate = useNavigate();
  const search = useSearch({ from: '/app' });
  const phone = usePhone();
  const online = useOnline();
  const shownNamespace = useNamespace();
  const images = useCollection<VirtualMachineImage>(apiPath(IMAGES)).items;
  const namespaces = useNamespaces();
  const usualNamespace = useDefaultNamespace();

  const [kind, setKind] = useState<'image' | 'snapshot'>(search.snapshot === undefined ? 'image' : 'snapshot');
  const [namespace, setNamespace] = useState(shownNamespace ?? usualNamespace);
  const [chosenImage, setChosenImage] = useState(search.image ?? localStorage.getItem(LAST_IMAGE_KEY) ?? undefined);
  const [chosenSnapshot, setChosenSnapshot] = useState(search.snapshot);
  const [typedName, setTypedName] = useState<string>();
  const [dice] = useState(() => Array.from({ length: 64 }, () => Math.random()));
  const [throws, setThrows] = useState(0);
  const [typedMemory, setTypedMemory] = useState<string>();
  const [restartPolicy, setRestartPolicy] = useState<Draft['restartPolicy']>('Always');
  const [labels, setLabels] = useState('');
  const [refused, setRefused] = useState<FieldProblems<DraftField>>();
  const [busy, setBusy] = useState(false);

  const machines = useCollection<VirtualMachine>(apiPath(MACHINES, namespace)).items;
  const snapshots = useSnapshots(apiPath(SNAPSHOTS, namespace)).items;
  const sorted = [...images].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const image = sorted.find(({ metadata }) => metadata.name === chosenImage) ?? quickest(sorted) ?? sorted[0];
  const snapshot = snapshots.find(({ metadata }) => metadata.name === chosenSnapshot);

  const taken = new Set(machines.map(({ metadata }) => metadata.name));
  let thrown = throws * 2;
  const invented =
    snapshot && kind === 'snapshot'
      ? nextName(snapshot.spec?.virtualMachine ?? snapshot.metadata.name, taken)
      : inventName(taken, () => dice[thrown++ % dice.length] ?? 0);
  const imageMiB = (parseBytes(image?.spec?.memory ?? '128Mi') ?? 0) / MIB;
  const memoryMiB = kind === 'snapshot' ? String(snapshot?.status?.memoryMiB ?? '') : (typedMemory ?? String(imageMiB));
  const sourceName = kind === 'image' ? image?.metadata.name : chosenSnapshot;

  const draft: Draft = {
    name: typedName ?? invented,
    namespace,
    source: sourceName === undefined ? undefined : { type: kind, name: sourceName },
    memoryMiB: kind === 'image' && typedMemory === undefined ? '' : memoryMiB,
    restartPolicy,
    labels,
  };
  const verdict = useDryRun(draft);
  const problems = refused ?? (verdict.state === 'Invalid' ? verdict.problems : { fields: {}, others: [] });
  const labelsBad = parseLabels(labels) === undefined;
  const problemCount = Object.values(problems.fields).flat().length + problems.others.length + Number(labelsBad);
  const golden = image?.status?.goldenSnapshots?.some((baked) => baked.memoryMiB === Number(memoryMiB)) ?? false;

  const close = (): void =>
    void navigate({
      to: '.',
      search: (previous) => ({ ...previous, new: undefined, image: undefined, snapshot: undefined }),
      replace: true,
    });
  const changed =
    <Value,>(set: (value: Value) => void) =>
    (value: Value): void => {
      setRefused(undefined);
      set(value);
    };

  const submit = async (): Promise<void> => {
    if (busy || !online || labelsBad || draft.source === undefined) return;
    setBusy(true);
    try {
      const vm = await create<VirtualMachine>(MACHINES, objectOf(draft));
      if (draft.source.type === 'image') localStorage.setItem(LAST_IMAGE_KEY, draft.source.name);
      await navigate({
        to: '/machines/$namespace/$name/$tab',
        params: { namespace: vm.metadata.namespace ?? namespace, name: vm.metadata.name, tab: 'screen' },
        search: (previous) => ({ ns: previous.ns }),
      });
    } catch (error) {
      setRefused(mapRefusal(asRefusal(error), DRAFT_PATHS));
      setBusy(false);
    }
  };

  return (
    <Modal
      title={en.newMachine.title}
      onClose={close}
      className="h-[680px] max-w-[1040px]"
      tools={
        <div role="group" aria-label={en.newMachine.sources} className="flex rounded-control border border-line2 p-0.5">
          {(['image', 'snapshot'] as const).map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={kind === name}
              onClick={() => changed(setKind)(name)}
              className="h-7 rounded-[6px] px-3 font-medium text-ink2 aria-pressed:bg-hover aria-pressed:text-ink"
            >
              {en.newMachine[name]}
            </button>
          ))}
        </div>
      }
    >
      <form
        className="flex min-h-0 flex-1 flex-col"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) {
            event.preventDefault();
            void submit();
          }
        }}
      >
        <div className="flex min-h-0 flex-1 max-[800px]:flex-col max-[800px]:overflow-y-auto">
          <div className="min-h-0 flex-1 overflow-y-auto p-5 max-[800px]:flex-none max-[800px]:overflow-visible">
            {kind === 'image' ? (
              <ImageCards
                images={sorted}
                machines={machines}
                chosen={image?.metadata.name}
                onChoose={({ metadata }) => {
                  changed(setChosenImage)(metadata.name);
                  setTypedMemory(undefined);
                }}
              />
            ) : (
              <SnapshotCards
                snapshots={snapshots}
                chosen={chosenSnapshot}
                onChoose={({ metadata }) => changed(setChosenSnapshot)(metadata.name)}
              />
            )}
            <p role="alert" className="mt-3 text-12 text-bad empty:hidden">
              {problems.fields.source?.join(' ')}
            </p>
          </div>

          <div className="flex w-[380px] shrink-0 flex-col gap-4 overflow-y-auto border-l border-line p-5 max-[800px]:w-full max-[800px]:border-t max-[800px]:border-l-0">
            {problems.others.length > 0 && <Trouble title={en.newMachine.refused} detail={problems.others.join(' ')} />}
            <FormField label={en.newMachine.name} problems={problems.fields.name}>
              {(control) => (
                <span className="relative">
                  <input
                    {...control}
                    autoFocus
                    spellCheck={false}
                    autoComplete="off"
                    className={classNames(CONTROL, 'pr-10')}
                    value={draft.name}
                    onChange={({ target }) => changed(setTypedName)(target.value)}
                  />
                  <IconButton
                    label={en.newMachine.another}
                    className="absolute top-1 right-1 max-phone:top-2"
                    onClick={() => {
                      changed(setTypedName)(undefined);
                      setThrows((number) => number + 1);
                    }}
                  >
                    <Dices aria-hidden size={15} />
                  </IconButton>
                </span>
              )}
            </FormField>
            <FormField label={en.newMachine.namespace} problems={problems.fields.namespace}>
              {(control) => (
                <select
                  {...control}
                  className={CONTROL}
                  value={namespace}
                  onChange={({ target }) => changed(setNamespace)(target.value)}
                >
                  {[...new Set([namespace, ...namespaces])].sort().map((name) => (
                    <option key={name}>{name}</option>
                  ))}
                </select>
              )}
            </FormField>
            <FormField
              label={en.newMachine.memory}
              problems={problems.fields.memory}
              hint={
                kind === 'snapshot'
                  ? en.newMachine.fixedMemory
                  : golden
                    ? en.newMachine.golden
                    : image?.spec?.guestAgent
                      ? en.newMachine.cold
                      : undefined
              }
              aside={
                image?.spec?.minimumMemory && kind === 'image' ? (
                  <span className="text-12 text-ink3">
                    {en.newMachine.minimum(image.spec.minimumMemory.replace('Mi', ' MiB'))}
                  </span>
                ) : undefined
              }
            >
              {(control) => (
                <div className="flex items-center gap-4">
                  <input
                    type="range"
                    aria-label={en.newMachine.memory}
                    min={0}
                    max={MEMORY_STOPS.length - 1}
                    disabled={kind === 'snapshot'}
                    value={stopOf(Number(memoryMiB))}
                    aria-valuetext={`${memoryMiB} MiB`}
                    onChange={({ target }) => changed(setTypedMemory)(String(MEMORY_STOPS[Number(target.value)]))}
                    className="h-6 min-w-0 flex-1 accent-accent"
                  />
                  <span className="flex w-28 items-center gap-2">
                    <input
                      {...control}
                      inputMode="numeric"
                      disabled={kind === 'snapshot'}
                      value={memoryMiB}
                      onChange={({ target }) => changed(setTypedMemory)(target.value)}
                      className={classNames(CONTROL, 'text-right disabled:opacity-60')}
                    />
                    <span className="text-ink2">{en.mebibytes}</span>
                  </span>
                </div>
              )}
            </FormField>
            <details className="group border-y border-line py-2">
              <summary className="flex list-none items-center gap-2 py-1 text-ink2">
                <ChevronRight aria-hidden size={14} className="transition-transform group-open:rotate-90" />
                {en.newMachine.details}
                <span className="ml-auto text-12 text-ink3">
                  {restartPolicy === 'Always' && labels === '' ? en.newMachine.defaults : ''}
                </span>
              </summary>
              <div className="flex flex-col gap-3 pt-3 pb-2">
                <FormField label={en.newMachine.restartPolicy} problems={problems.fields.restartPolicy}>
                  {(control) => (
                    <select
                      {...control}
                      className={CONTROL}
                      value={restartPolicy}
                      onChange={({ target }) => changed(setRestartPolicy)(target.value as Draft['restartPolicy'])}
                    >
                      {Object.entries(en.newMachine.restartPolicies).map(([value, label]) => (
                        <option key={value} value={value}>
                          {label}
                        </option>
                      ))}
                    </select>
                  )}
                </FormField>
                <FormField
                  label={en.newMachine.labels}
                  problems={[...(labelsBad ? [en.newMachine.labelsBad] : []), ...(problems.fields.labels ?? [])]}
                >
                  {(control) => (
                    <input
                      {...control}
                      spellCheck={false}
                      placeholder={en.newMachine.labelsHint}
                      className={CONTROL}
                      value={labels}
                      onChange={({ target }) => changed(setLabels)(target.value)}
                    />
                  )}
                </FormField>
              </div>
            </details>
            <CommandBlock command={createCommand(MACHINES, objectOf(draft), location.origin)} className="shrink-0" />
          </div>
        </div>

        <div className="flex shrink-0 flex-wrap items-center gap-3 border-t border-line px-5 py-3">
          <p role="status" className="flex min-w-0 flex-1 items-center gap-2 text-ink2 max-phone:basis-full">
            {kind === 'snapshot' && snapshot && problemCount === 0 ? (
              en.newMachine.restoring(snapshot.spec?.virtualMachine ?? snapshot.metadata.name)
            ) : problemCount > 0 ? (
              <>
                <StatusGlyph shape="Triangle" tone="Attention" />
                {en.newMachine.invalid(problemCount)}
              </>
            ) : (
              <>
                <StatusGlyph
                  shape={verdict.state === 'Valid' ? 'Disc' : 'Arc'}
                  tone={verdict.state === 'Valid' ? 'Good' : 'Motion'}
                />
                {verdict.state === 'Valid' ? en.newMachine.valid : en.newMachine.checking}
              </>
            )}
          </p>
          <Button onClick={close} className="max-phone:h-11 max-phone:flex-1">
            {en.cancel}
          </Button>
          <Button
            type="submit"
            look="Primary"
            className="max-phone:h-11 max-phone:flex-2"
            disabled={busy || !online || draft.source === undefined || labelsBad}
          >
            {en.newMachine.create}
            {!phone && <Kbd>{navigator.platform.startsWith('Mac') ? '⌘↵' : 'Ctrl ↵'}</Kbd>}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

/** The stop nearest to an amount, for the slider. */
function stopOf(memoryMiB: number): number {
  const index = MEMORY_STOPS.findIndex((stop) => stop >= memoryMiB);
  return index === -1 ? MEMORY_STOPS.length - 1 : index;
}
