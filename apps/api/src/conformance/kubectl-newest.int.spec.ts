import { jest } from '@jest/globals';
import { accessCases } from '../../test/conformance/access.cases.ts';
import { applyCases } from '../../test/conformance/apply.cases.ts';
import { DEADLINE_MS, describeKubectls, machine, versions } from '../../test/conformance/kubectl-programs.ts';
import { objectCases } from '../../test/conformance/objects.cases.ts';

jest.setTimeout(DEADLINE_MS);

describeKubectls([...versions(30, 31, 32, 33), ...machine], { objects: objectCases, apply: applyCases, access: accessCases });
