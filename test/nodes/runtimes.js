import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CACHE = fileURLToPath(new URL('../../.cache/runtimes/', import.meta.url))
const { platform, arch } = process
const bunArch = arch === 'arm64' ? 'aarch64' : arch
const denoLibc = platform === 'linux' ? '-glibc' : ''

/**
 * @typedef {object} Runtime
 * @property {string} name
 * @property {string} version
 * @property {string} npm the package that has its binary
 * @property {string} binary where in the package
 * @property {readonly string[]} args in front of the program
 * @property {boolean} vitest whether it runs our own tests as well
 */

/** The oldest Node that is supported, and the newest of each line; then others. @type {readonly Runtime[]} */
export const RUNTIMES = [
  ...['20.19.0', '20.20.2', '22.23.3', '24.21.0', '26.10.0'].map((version) => ({
    name: 'node',
    version,
    npm: `node-${platform}-${arch}`,
    binary: 'bin/node',
    args: [],
    vitest: true,
  })),
  {
    name: 'bun',
    version: '1.4.5',
    npm: `@oven/bun-${platform}-${bunArch}`,
    binary: 'bin/bun',
    args: [],
    vitest: false,
  },
  {
    name: 'deno',
    version: '2.9.6',
    npm: `@deno/${platform}-${arch}${denoLibc}`,
    binary: 'deno',
    args: ['run', '-A'],
    vitest: false,
  },
]

/**
 * The binary of a runtime, from the npm registry the first time. It is taken out of the platform's own package,
 * so that no install script has to run.
 *
 * @param {Runtime} runtime
 * @returns {string}
 */
export function binaryOf({ name, version, npm, binary }) {
  if (name === 'node' && version === process.versions.node) return process.execPath
  const folder = join(CACHE, `${name}-${version}`)
  const path = join(folder, 'node_modules', npm, binary)
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true })
    const args = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder]
    const { status, stderr } = spawnSync('npm', [...args, `${npm}@${version}`], { encoding: 'utf8' })
    if (status !== 0 || !existsSync(path)) {
      throw new Error(`${npm}@${version} could not be had:\n${stderr}`)
    }
  }
  return path
}
