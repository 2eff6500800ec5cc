import { Body, Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { malformed } from '@corral/api-machinery';
import { z } from 'zod';
import { Describe } from '../http/describe.ts';
import { PostgresStore } from './postgres-store.ts';

const Request = z.strictObject({ before: z.iso.datetime({ offset: true }).optional() });

/** For administrators: forgetting history on purpose, so that clients can be seen to cope with 410. */
@Controller('admin/change-log')
export class ChangeLogController {
  constructor(@Inject(PostgresStore) private readonly store: PostgresStore) {}

  /** Forgets every change before a time; without one, all there are. */
  @Post('compactions')
  @Describe({ summary: 'Forget the history of changes, for tests of 410.', body: Request })
  @HttpCode(200)
  async compact(@Body() body: unknown): Promise<{ readonly forgotten: number }> {
    const request = Request.safeParse(body ?? {});
    if (!request.success) throw malformed('the body must be {} or {"before": "<RFC 3339 time>"}');
    const { before } = request.data;
    // Changes carry the database's clock, which may be a little ahead of ours.
    const until = before === undefined ? new Date(Date.now() + 60 * 60_000) : new Date(before);
    return { forgotten: await this.store.compactChanges(until) };
  }
}
