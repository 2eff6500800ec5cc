import { Controller, Get, Inject, Param, Res } from '@nestjs/common';
import { Problem, qualifiedResource, virtualMachineSnapshots, type ObjectClient } from '@corral/contracts';
import type { FastifyReply } from 'fastify';
import { Describe } from '../../platform/http/describe.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { sendStoredScreen } from './stored-screen.http.ts';
import { StoredScreens } from './stored-screens.ts';

/** What a machine showed when a snapshot of it was taken. */
@Controller(`apis/${virtualMachineSnapshots.group}/${virtualMachineSnapshots.version}/namespaces/:namespace/${virtualMachineSnapshots.plural}/:name`)
export class SnapshotScreenController {
  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(StoredScreens) private readonly screens: StoredScreens,
  ) {}

  @Get('screenshot')
  @Describe({ summary: 'What the machine showed when the snapshot was taken; 409 where nothing was kept.', answer: 'image/png' })
  async screenshot(@Param('namespace') namespace: string, @Param('name') name: string, @Res() reply: FastifyReply): Promise<void> {
    const snapshot = await this.objects.get(virtualMachineSnapshots, namespace, name);
    const details = { name, group: virtualMachineSnapshots.group, kind: virtualMachineSnapshots.plural };
    if (!snapshot) throw new Problem('object.not-found', `${qualifiedResource(virtualMachineSnapshots)} "${name}" not found`, { details });
    await sendStoredScreen(reply, await this.screens.of(snapshot));
  }
}
