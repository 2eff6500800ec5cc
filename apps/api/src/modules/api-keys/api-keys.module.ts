import { Module } from '@nestjs/common';
import { ApiKeyAdmission } from './api-key.admission.ts';

/** How API keys come to be. What they are good for: platform/auth. */
@Module({ providers: [ApiKeyAdmission] })
export class ApiKeysModule {}
