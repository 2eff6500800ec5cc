import { flag, integer, object, type ShapeOf, text, withDefault } from '@corral/base/shape';

/** What the saved device state belongs to: a machine that differs in any of it cannot take the state over. */
export const SnapshotMachine = object({
  v86Build: text(),
  memoryMiB: integer({ min: 1, max: 2047 }),
  imageDigest: text(),
  devices: object({
    acpi: flag,
    disk: flag,
    cdrom: flag,
    floppy: flag,
    /** A machine that is restored gets one where its snapshot's had one. */
    balloon: withDefault(flag, false),
  }),
});
export type SnapshotMachine = ShapeOf<typeof SnapshotMachine>;

/** Why a machine cannot take over a snapshot, in words that name both sides; undefined when it can. */
export function incompatibility(snapshot: SnapshotMachine, machine: SnapshotMachine): string | undefined {
  if (snapshot.v86Build !== machine.v86Build) {
    return `the snapshot was taken by v86 build ${snapshot.v86Build}; this node runs ${machine.v86Build}`;
  }
  if (snapshot.memoryMiB !== machine.memoryMiB) {
    return `the snapshot has ${snapshot.memoryMiB}Mi of memory; the machine has ${machine.memoryMiB}Mi`;
  }
  if (snapshot.imageDigest !== machine.imageDigest) {
    return `the snapshot is of image ${snapshot.imageDigest}; the machine’s image is ${machine.imageDigest}`;
  }
  const differing = (['acpi', 'disk', 'cdrom', 'floppy'] as const).find(
    (device) => snapshot.devices[device] !== machine.devices[device],
  );
  return differing && `the snapshot’s machine has ${differing} ${onOff(snapshot.devices[differing])}; this one has it ${onOff(machine.devices[differing])}`;
}

function onOff(present: boolean): string {
  return present ? 'on' : 'off';
}
