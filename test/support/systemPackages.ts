import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)
const INSTALL_MS = 300_000

/**
 * Sees to what a suite needs from the system. Installs Debian's packages where we are root on Debian. Where
 * it may not, a suite fails in CI and is skipped with a word elsewhere.
 *
 * @param isThere whether all is there
 * @returns false when the suite is to be skipped
 * @throws in CI, and when it is still not there after the packages were installed
 */
export async function needs(
  suite: string,
  packages: readonly string[],
  isThere: () => Promise<boolean>,
): Promise<boolean> {
  if (await isThere()) return true
  const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    process.stderr.write(`${suite}: installing ${packages.join(' ')}\n`)
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const install = () => run('sh', ['-c', command], { env, timeout: INSTALL_MS })
    // A fresh machine has no lists yet.
    await install().catch(async () => {
      await run('apt-get', ['update'], { env, timeout: INSTALL_MS })
      await install()
    })
    if (await isThere()) return true
    throw new Error(`${suite}: installed ${packages.join(', ')}, and what it needs is still not there`)
  }
  const message = `${suite} cannot run here. On Debian or Ubuntu: sudo ${command}`
  if (process.env.CI) throw new Error(message)
  process.stderr.write(`\nSKIPPED: ${message}\n\n`)
  return false
}
