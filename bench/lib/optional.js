import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Why a library that a contender needs cannot be used, or nothing. @param {string} specifier */
export async function missing(specifier) {
  try {
    await import(specifier)
    return undefined
  } catch (error) {
    return `${specifier} cannot be imported: ${error instanceof Error ? error.message : error}`
  }
}

/**
 * Why viaduct's own contenders cannot run yet, or nothing. A build that is there but cannot be imported is not
 * missing, it is broken: then the import's error is thrown.
 * @param {boolean} written whether the contender itself has been written
 * @param {string} [entry] of the package
 */
export async function notBuilt(written, entry = 'viaduct') {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  if (!(entry.replace('viaduct', '.') in manifest.exports)) return `the package has no entry ${entry} yet`
  if (!existsSync(fileURLToPath(import.meta.resolve(entry)))) return 'not built yet'
  if (!written) return 'built, but this contender is not written yet'
  await import(entry)
  return undefined
}
