import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'

/** After so long a test hangs: machines are slow when others use them, and no test says how fast one is. */
const HANGS_MS = 300_000

/** They stay within one process and keep it busy, so there is one of them for each processor. The others go alone. */
const BUSY = 'test/{codecs,contract,core,page,wire}/**/!(processes|chromium).test.ts'

export default defineConfig({
  test: {
    pool: 'forks',
    testTimeout: HANGS_MS,
    hookTimeout: HANGS_MS,
    expect: { poll: { timeout: 30_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'busy',
          include: [BUSY],
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, BUSY],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
