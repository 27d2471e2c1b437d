import { migrate } from '@app/migrate/migrate';
import { startTestServers } from '@app/test-kit/test-servers';
import type { TestProject } from 'vitest/node';

/**
 * Starts the test servers once per run, for the first project that has tests, and provides their addresses to all projects.
 * Vitest calls the returned function after the last test.
 */
export default async function setUpServers(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const provided: { readonly testServers?: unknown } = project.getProvidedContext();
  if (provided.testServers !== undefined) return undefined;
  const servers = await startTestServers({ migrate });
  for (const each of project.vitest.projects) each.provide('testServers', servers.addresses);
  return () => servers[Symbol.asyncDispose]();
}
