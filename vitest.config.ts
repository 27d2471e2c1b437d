import { defineConfig } from 'vitest/config';

const sources = '{packages,services,testing,tools}/*/test/**';
const needOwnProcess = `${sources}/*.isolated.test.ts`;
const needServers = `${sources}/*.{redis,pg,timescale}.test.ts`;
const needWholeSystem = `${sources}/*.e2e.test.ts`;
const servers = './tools/repo/src/run-tests/global-setup.ts';

export default defineConfig({
  test: {
    // Processes, not threads: an open listen socket of uWebSockets.js aborts a worker thread.
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    slowTestThreshold: 2_000,
    // A condition is waited for as long as a machine that is busy may take; one that holds costs nothing.
    expect: { poll: { timeout: 10_000 } },
    // A test's name says what it needs, so that the servers start only where a test asks for them.
    // One group after the other: what takes a core each does not disturb what measures time.
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [`${sources}/*.test.ts`],
          exclude: [needOwnProcess, needServers, needWholeSystem],
          // A process for each file would take longer than most of these tests.
          isolate: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: { name: 'isolated', include: [needOwnProcess], sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: [needServers],
          // Likewise; to import the services takes a second of CPU.
          isolate: false,
          globalSetup: servers,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: [needWholeSystem],
          globalSetup: servers,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
