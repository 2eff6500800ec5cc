import { jest } from '@jest/globals';
import { accessCases } from '../../test/conformance/access.cases.ts';
import { applyCases } from '../../test/conformance/apply.cases.ts';
import { DEADLINE_MS, debian, describeKubectls, versions } from '../../test/conformance/kubectl-programs.ts';
import { objectCases } from '../../test/conformance/objects.cases.ts';

jest.setTimeout(DEADLINE_MS);

describeKubectls([debian, ...versions(27, 28, 29)], { objects: objectCases, apply: applyCases, access: accessCases });
