import { defineConfig } from 'vitest/config'

/** After so long a test hangs: machines are slow when others use them, and no test says how fast one is. */
const HANGS_MS = 300_000

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    testTimeout: HANGS_MS,
    hookTimeout: HANGS_MS,
    expect: { poll: { timeout: 30_000 } },
  },
})
