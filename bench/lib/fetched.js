import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Libraries of contenders that are no dependency of ours: fetched from the npm registry the first time. */

const CACHE = fileURLToPath(new URL('../../.cache/bench/', import.meta.url))

/** @param {Record<string, string>} packages exact versions by name */
function folderOf(packages) {
  const name = Object.entries(packages).map(([name, version]) => `${name.replace(/\W+/g, '-')}-${version}`)
  return join(CACHE, name.join('+'))
}

/** Fetches them where they are missing. Why that cannot be, or nothing. @param {Record<string, string>} packages */
export function fetchPackages(packages) {
  const folder = folderOf(packages)
  if (Object.keys(packages).every((name) => existsSync(join(folder, 'node_modules', name)))) return undefined
  mkdirSync(folder, { recursive: true })
  const wanted = Object.entries(packages).map(([name, version]) => `${name}@${version}`)
  process.stderr.write(`fetching ${wanted.join(', ')} into ${folder}\n`)
  const options = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder]
  const { status, stderr } = spawnSync('npm', ['install', ...options, ...wanted], { encoding: 'utf8' })
  return status === 0 ? undefined : `${wanted.join(', ')} could not be fetched: ${stderr.trim().slice(-300)}`
}

/** @param {Record<string, string>} packages @param {string} name one of them */
export function importFetched(packages, name) {
  const resolve = createRequire(join(folderOf(packages), 'from.js')).resolve
  return import(pathToFileURL(resolve(name)).href)
}
