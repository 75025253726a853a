/**
 * What a hung process did, looked at before it is killed: how much processor time it uses, what it waits for,
 * where its loop stands, what it wrote last. Bounded in time and size, and nothing is left behind.
 */
import type { Duplex } from 'node:stream'
import type { HostClock } from './clock.ts'
import { readProcess, waitsIn } from './processInfo.ts'
import type { Frame } from './stackThread.ts'

/** How long it may be looked at. */
export const EVIDENCE_MS = 600
/** How often its stack is asked for, and how far apart. */
const SAMPLES = 5
const SAMPLE_EVERY_MS = EVIDENCE_MS / (SAMPLES + 1)
const STDERR_CHARS = 2_048
const MAX_FRAMES = 16
const ANSWER_CHARS = 64 * 1024

/** A frame of the loop's stack, and in how many of the samples it was found. */
export interface StackFrame extends Frame {
  readonly samples: number
}

export interface HangEvidence {
  /**
   * `busy`: its main thread ran, or would have if the machine had let it; `blocked`: it waited for something;
   * `stopped`: a signal or debugger had stopped it; `unknown`: the system does not say.
   */
  readonly state: 'busy' | 'blocked' | 'stopped' | 'unknown'
  /** Processor time that it used while it was looked at, of so many milliseconds. */
  readonly cpuMs: number | undefined
  readonly overMs: number
  /** Where in the kernel it waited, on Linux. */
  readonly waitsIn: string | undefined
  /** The stack of its event loop at the last sample, innermost first; empty where it could not be had. */
  readonly stack: readonly StackFrame[]
  /** How often the stack was seen. */
  readonly samples: number
  /** The last that it wrote to stderr, as it wrote it: escape it to print. */
  readonly stderr: string
}

export interface EvidenceSource {
  readonly clock: HostClock
  readonly pid: number
  /** Asks the thread that tells of the loop; absent where the child has none. */
  readonly stack: Duplex | undefined
  /** Makes it print its stacks on stderr; absent where it has not said that it does. */
  readonly printStacks: (() => void) | undefined
  readonly stderr: () => string
}

/** Never rejects; settles after {@link EVIDENCE_MS} at the latest, and sooner when there is nothing to wait for. */
export async function takeEvidence(source: EvidenceSource): Promise<HangEvidence> {
  const { clock, pid, stack } = source
  const before = readProcess(pid)
  const startedAt = clock.now()
  const answers = stack && new Answers(stack)
  source.printStacks?.()
  const states: string[] = []
  const wait = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve))
  for (let sample = 0; sample < SAMPLES && (before || answers || source.printStacks); sample++) {
    states.push(readProcess(pid)?.state ?? '')
    answers?.ask()
    await wait(SAMPLE_EVERY_MS)
  }
  const overMs = Math.round(clock.now() - startedAt)
  const after = readProcess(pid)
  const cpuMs = before && after && before.start === after.start ? after.cpuMs - before.cpuMs : undefined
  const seen = answers?.take() ?? []
  return {
    state: after ? stateOf([...states, after.state]) : 'unknown',
    cpuMs,
    overMs,
    waitsIn: waitsIn(pid).slice(0, 64) || undefined,
    stack: profileOf(seen),
    samples: seen.length,
    stderr: source.stderr().slice(-STDERR_CHARS),
  }
}

/** For a line of a log. */
export function evidenceText({ state, cpuMs, overMs, waitsIn, stack, samples }: HangEvidence): string {
  const words: string[] = [state]
  if (cpuMs !== undefined) words.push(`${cpuMs} of the last ${overMs} ms on the processor`)
  if (state === 'blocked' && waitsIn) words.push(`waits in ${waitsIn}`)
  const frames = stack.slice(0, 3).map(({ name, file, line }) => `${name || '(no name)'} (${file}:${line})`)
  if (frames.length > 0) words.push(`its loop stood in ${frames.join(' < ')} (${samples} samples)`)
  return words.join(', ')
}

/** Not by its processor time: on a machine with too much to do a busy process gets little. */
function stateOf(states: readonly string[]): HangEvidence['state'] {
  if (states.every((state) => state === 'T' || state === 't')) return 'stopped'
  return states.filter((state) => state === 'R').length * 2 > states.length ? 'busy' : 'blocked'
}

/** The last stack, each frame with the number of samples that have its function. */
function profileOf(samples: readonly (readonly Frame[])[]): StackFrame[] {
  const key = ({ name, file }: Frame) => `${name} ${file}`
  const has = samples.map((frames) => new Set(frames.map(key)))
  return (samples.at(-1) ?? []).slice(0, MAX_FRAMES).map((frame) => ({
    ...frame,
    samples: has.filter((keys) => keys.has(key(frame))).length,
  }))
}

/** Stacks as they come, a line of JSON each. What says something else, or too much, is not listened to. */
class Answers {
  readonly #stream: Duplex
  readonly #samples: Frame[][] = []
  #text = ''
  readonly #onData = (chunk: Buffer): void => {
    this.#text += chunk.toString('utf8')
    const lines = this.#text.split('\n')
    this.#text = (lines.pop() ?? '').slice(0, ANSWER_CHARS)
    for (const line of lines) {
      const frames = line.length <= ANSWER_CHARS ? framesOf(line) : undefined
      if (frames && this.#samples.length < SAMPLES) this.#samples.push(frames)
    }
  }

  constructor(stream: Duplex) {
    this.#stream = stream
    stream.on('data', this.#onData)
  }

  ask(): void {
    if (this.#stream.writable) this.#stream.write('?')
  }

  take(): Frame[][] {
    this.#stream.off('data', this.#onData)
    return this.#samples
  }
}

function framesOf(line: string): Frame[] | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return Array.isArray(value) ? value.slice(0, MAX_FRAMES).filter(isFrame).map(cut) : undefined
  } catch {
    return undefined
  }
}

function isFrame(value: unknown): value is Frame {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    typeof value.name === 'string' &&
    'file' in value &&
    typeof value.file === 'string' &&
    'line' in value &&
    typeof value.line === 'number'
  )
}

function cut({ name, file, line }: Frame): Frame {
  return { name: name.slice(0, 200), file: file.slice(-300), line }
}
