import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Journal, type JournalOptions } from '../../src/mailbox/journal.ts'
import { errno, SimulatedDisk } from './simulatedDisk.ts'

const FOLDER = '/box'
const opened = (files: SimulatedDisk, more: Partial<JournalOptions> = {}): Promise<Journal> =>
  Journal.open({ files, folder: FOLDER, concurrency: 2, ...more })

const entry = (sequence: number, redriven = 0, sender = 'a') => ({
  id: `${sender}.${sequence}`,
  sender,
  sequence,
  redriven,
})
const byId = (id: string, redriven = 0) => ({ id, sender: '', sequence: 0, redriven })
const SMALL = { dedupe: 3, segmentBytes: 256 }

describe("the receiver's journal", () => {
  it('never forgets what was acknowledged, nor counts what did not happen, whatever a crash leaves at any operation', async () => {
    const disk = new SimulatedDisk()
    const over = new Map<number, 'done' | 'dead'>()
    const failures = new Map<number, number>()
    const starts = new Map<number, number>()
    let checking: Promise<void>[] = []
    let states = 0
    disk.after = () => {
      const [known, failed, started] = [new Map(over), new Map(failures), new Map(starts)]
      for (const crashed of disk.crashes()) {
        states++
        checking.push(
          (async () => {
            const journal = await opened(crashed, SMALL)
            for (const [sequence, end] of known) expect(journal.known(entry(sequence))).toBe(end)
            for (const [sequence, count] of started) {
              const found = journal.starts(entry(sequence).id)
              expect(found).toBeLessThanOrEqual(count)
              if (journal.known(entry(sequence)) === 'open')
                expect(found).toBeGreaterThanOrEqual(failed.get(sequence) ?? 0)
            }
            await journal.done(byId('later'))
            expect(journal.known(byId('later'))).toBe('done')
          })(),
        )
      }
    }
    const journal = await opened(disk, SMALL)
    for (let sequence = 1; sequence <= 24; sequence += 3) {
      const group = [sequence, sequence + 1, sequence + 2]
      for (const one of group) {
        journal.start([entry(one).id])
        starts.set(one, (starts.get(one) ?? 0) + 1)
      }
      await Promise.all([
        journal.done(entry(sequence)).then(() => over.set(sequence, 'done')),
        journal.dead(entry(sequence + 1)).then(() => over.set(sequence + 1, 'dead')),
        journal.failed(entry(sequence + 2)).then(() => failures.set(sequence + 2, 1)),
      ])
      await Promise.all(checking)
      checking = []
    }
    expect(over.size).toBe(16)
    expect(states).toBeGreaterThan(500)
    const left = await disk.list(FOLDER)
    expect(left).not.toContain('0000000001.log')
    expect(left.length).toBeLessThan(8)
  })

  it.each([
    ['power-loss', 'could not sync it'],
    ['process-crash', 'did without syncs'],
  ] as const)('never takes back what it once said, though who wrote it (%s) %s', async (durability, _) => {
    const disk = new SimulatedDisk()
    const first = await opened(disk, { durability })
    disk.before = (operation, path) => {
      if (['sync', 'truncate'].includes(operation)) throw errno('EIO', path)
    }
    await first.done(entry(1)).catch(() => {})
    disk.before = () => {}
    // The first was killed.
    const second = await opened(disk)
    expect(second.known(entry(1))).toBe('done')
    for (const crashed of disk.crashes()) expect((await opened(crashed)).known(entry(1))).toBe('done')
    await second.close()
  })

  it('follows its model over kills at any operation and restarts', async () => {
    const action = fc.record({
      what: fc.constantFrom('start', 'done', 'dead', 'failed', 'redrive'),
      message: fc.nat({ max: 5 }),
    })
    const round = fc.record({
      actions: fc.array(action, { minLength: 1, maxLength: 8 }),
      killAfter: fc.option(fc.nat({ max: 12 })),
      restart: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(round, { maxLength: 12 }),
        fc.constantFrom(3, 100),
        async (rounds, dedupe) => {
          const run = new ModelRun(dedupe)
          await run.open()
          for (const { actions, killAfter, restart } of rounds) {
            await run.round(actions, killAfter ?? undefined)
            if (restart || killAfter !== null) await run.restart()
            run.check()
          }
        },
      ),
      { numRuns: Number(process.env.JOURNAL_RUNS ?? 300) },
    )
  })

  it.each(['ENOSPC', 'EIO'] as const)(
    'refuses with a code at %s in any operation, and goes on',
    async (code) => {
      const expected = { code: code === 'ENOSPC' ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE' }
      let refusals = 0
      for (let failing = 0; ; failing++) {
        const disk = new SimulatedDisk()
        let count = 0
        let failed = ''
        disk.before = (operation, path) => {
          if (count++ !== failing) return
          failed = operation
          throw errno(code, path)
        }
        const attempt = async (work: () => Promise<unknown>): Promise<void> => {
          const before = failed
          await work().catch(async (error: unknown) => {
            refusals++
            expect(error).toMatchObject(expected)
            expect(failed).not.toBe(before)
            await work()
          })
        }
        let journal: Journal | undefined
        await attempt(async () => {
          journal = await opened(disk, SMALL)
        })
        if (!journal) throw new Error('not open')
        const journalNow = journal
        for (let sequence = 1; sequence <= 12; sequence++) {
          await attempt(async () => expect(journalNow.start([entry(sequence).id])).toEqual([1]))
          await attempt(() => journalNow.failed(entry(sequence)))
          await attempt(async () => expect(journalNow.start([entry(sequence).id])).toEqual([2]))
          if (sequence === 12) break
          await attempt(() => journalNow.done(entry(sequence)))
        }
        disk.before = () => {}
        const next = await opened(disk, SMALL)
        for (let sequence = 1; sequence < 12; sequence++) expect(next.known(entry(sequence))).toBe('done')
        expect(next.known(entry(12))).toBe('open')
        expect(next.starts(entry(12).id)).toBe(2)
        expect([...next.suspects]).toEqual([entry(12).id])
        if (failed === '') break
      }
      expect(refusals).toBeGreaterThan(50)
    },
  )

  it('knows by sender and sequence for good, by id for a window, and keeps few segments', async () => {
    const disk = new SimulatedDisk()
    const journal = await opened(disk, { dedupe: 10, segmentBytes: 1024 })
    for (let sequence = 1; sequence <= 500; sequence++) await journal.done(entry(sequence))
    await journal.dead(entry(501))
    const names = await disk.list(FOLDER)
    expect(names.length).toBeLessThan(7)
    for (const now of [journal, await opened(disk, { dedupe: 10, segmentBytes: 1024 })]) {
      for (let sequence = 1; sequence <= 500; sequence++) expect(now.known(entry(sequence))).toBe('done')
      for (let sequence = 492; sequence <= 500; sequence++)
        expect(now.known(byId(`a.${sequence}`))).toBe('done')
      expect(now.known(byId('a.400'))).toBe('open')
      expect(now.known(entry(501))).toBe('dead')
      expect(now.known(entry(502))).toBe('open')
      expect(now.known(entry(1, 0, 'b'))).toBe('open')
    }
    journal.forgetSender('a')
    await journal.done(byId('x'))
    for (const now of [journal, await opened(disk)]) expect(now.known(entry(1))).toBe('open')
  })

  it('gathers the segments of many short receivers into one', async () => {
    const disk = new SimulatedDisk()
    for (let run = 1; run <= 60; run++) {
      const journal = await opened(disk, { dedupe: 1000 })
      await (run % 2 ? journal.done(entry(run)) : journal.dead(entry(run)))
      await journal.close()
    }
    const journal = await opened(disk, { dedupe: 1000 })
    expect((await disk.list(FOLDER)).length).toBeLessThan(12)
    for (let run = 1; run <= 60; run++)
      expect(journal.known(byId(`a.${run}`))).toBe(run % 2 ? 'done' : 'dead')
  })

  it('starts a redriven message anew, once it was dead, and tells it from its first life', async () => {
    const disk = new SimulatedDisk()
    const first = await opened(disk)
    for (let start = 1; start <= 4; start++) expect(first.start(['a.1'])).toEqual([start])
    await first.dead(entry(1))
    expect(first.known(entry(1))).toBe('dead')
    const second = await opened(disk)
    expect(second.known(entry(1))).toBe('dead')
    expect([...second.suspects]).toEqual([])
    const again = { ...entry(2, 1), id: 'a.1' }
    expect(second.known(again)).toBe('open')
    expect(second.start(['a.1'])).toEqual([1])
    const third = await opened(disk)
    expect(third.starts('a.1')).toBe(1)
    expect([...third.suspects]).toEqual(['a.1'])
    await third.done(again)
    expect([...third.suspects]).toEqual([])
    for (const now of [third, await opened(disk)]) {
      expect(now.known(again)).toBe('done')
      expect(now.known({ ...again, sequence: 3, redriven: 2 })).toBe('done')
    }
  })

  it('leaves no start in a page of what it has forgotten', async () => {
    const disk = new SimulatedDisk()
    const journal = await opened(disk, SMALL)
    for (let start = 1; start <= 4; start++) journal.start(['x'])
    await journal.dead(byId('x'))
    expect(journal.start(['beside', 'long'])).toEqual([1, 1])
    journal.begun()
    await journal.done(byId('beside'))
    for (let sequence = 1; sequence <= 30; sequence++) await journal.done(entry(sequence))
    const next = await opened(disk, SMALL)
    expect(next.known(byId('x', 1))).toBe('open')
    expect([...next.suspects]).toEqual(['long'])
    expect(['x', 'beside', 'long'].map((id) => next.starts(id))).toEqual([0, 0, 1])
  })

  it('takes a page that is torn for an empty one', async () => {
    const disk = new SimulatedDisk()
    expect((await opened(disk)).start(['x'])).toEqual([1])
    const file = await disk.open(`${FOLDER}/starts`)
    const pages = Buffer.alloc((await file.status()).size)
    await file.read(pages, 0)
    const attempt = pages.indexOf('x') - 9
    await file.write(Uint8Array.of(3), attempt)
    const next = await opened(disk)
    expect([...next.suspects, next.starts('x')]).toEqual([0])
    expect(next.start(['x'])).toEqual([1])
    expect((await opened(disk)).starts('x')).toBe(1)
  })

  it('counts what is started together in one write, as many as fit', async () => {
    const disk = new SimulatedDisk()
    const journal = await opened(disk)
    const ids = Array.from({ length: 50 }, (_, index) => `${index}`.padStart(200, 'x'))
    let writes = 0
    disk.before = (operation) => {
      if (operation === 'write') writes++
    }
    const counts: number[] = []
    for (let from = 0; from < ids.length; ) {
      const attempts = journal.start(ids.slice(from))
      journal.begun()
      counts.push(attempts.length)
      from += attempts.length
    }
    expect(counts).toEqual([19, 19, 12])
    // Each page, and that all of it has begun.
    expect(writes).toBe(6)
    const next = await opened(disk)
    expect([...next.suspects].sort()).toEqual([...ids].sort())
    for (const id of ids) expect(next.starts(id)).toBe(1)
  })

  it('takes back a start that cannot have happened, since one before it ended two processes', async () => {
    const disk = new SimulatedDisk()
    const ids = ['a', 'b', 'c', 'd']
    const first = await opened(disk)
    first.start(['d'])
    await first.failed(byId('d'))
    expect(first.start(ids)).toEqual([1, 1, 1, 2])
    const second = await opened(disk)
    expect(ids.map((id) => second.starts(id))).toEqual([1, 1, 1, 2])
    second.start(['a'])
    await second.done(byId('a'))
    second.start(['b'])
    // Twice, as a crash may come at any time.
    await opened(disk)
    const third = await opened(disk)
    expect(ids.map((id) => third.starts(id))).toEqual([0, 2, 0, 1])
    expect([...third.suspects]).toEqual(['b'])
    expect(third.start(['d', 'c'])).toEqual([2, 1])
    third.begun()
    const fourth = await opened(disk)
    expect(ids.map((id) => fourth.starts(id))).toEqual([0, 2, 1, 2])
    expect([...fourth.suspects].sort()).toEqual(['b', 'c', 'd'])
  })

  it('keeps the starts of which the process survived the first steps, whoever ends the next', async () => {
    const disk = new SimulatedDisk()
    const first = await opened(disk)
    first.start(['a', 'b', 'c'])
    first.begun()
    const second = await opened(disk)
    second.start(['a'])
    const third = await opened(disk)
    expect(['a', 'b', 'c'].map((id) => third.starts(id))).toEqual([2, 1, 1])
    expect([...third.suspects].sort()).toEqual(['a', 'b', 'c'])
  })

  it('writes what ends together as one record, in as few writes as commits', async () => {
    const disk = new SimulatedDisk()
    const journal = await opened(disk)
    const count = { write: 0, sync: 0 }
    disk.before = (operation) => {
      if (operation === 'write' || operation === 'sync') count[operation]++
    }
    await Promise.all(Array.from({ length: 1000 }, (_, index) => journal.done(entry(index + 1))))
    expect(count).toEqual({ write: 1, sync: 1 })
    expect(journal.known(entry(1000))).toBe('done')
  })

  it('bounds names, and one that is refused harms no other', async () => {
    const journal = await opened(new SimulatedDisk())
    const fine = journal.done(byId('fine'))
    const long = 'x'.repeat(241)
    await expect(journal.done(byId(long))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(() => journal.start(['fine', long])).toThrow(/241 bytes/)
    journal.forgetSender(long)
    await journal.dead({ id: 'odd', sender: long, sequence: 1e300, redriven: 1e12 })
    await fine
    expect(journal.known(byId('odd'))).toBe('dead')
    await journal.close()
    await expect(journal.done(byId('late'))).rejects.toMatchObject({ reason: 'CLOSED' })
  })
})

interface Action {
  readonly what: 'start' | 'done' | 'dead' | 'failed' | 'redrive'
  readonly message: number
}

class Model {
  readonly id: string
  status: 'open' | 'done' | 'dead' = 'open'
  starts = 0
  redriven = 0
  sequence: number
  /** Started, and no end of it is known. */
  running = false
  /** What was asked and failed: it may be so or not. */
  doubt: 'done' | 'dead' | 'failed' | undefined

  constructor(index: number) {
    this.id = `m${index}`
    this.sequence = index + 1
  }

  get entry() {
    const { id, sequence, redriven } = this
    return { id, sender: `s${sequence % 2}`, sequence, redriven }
  }
}

class ModelRun {
  readonly #disk = new SimulatedDisk()
  readonly #dedupe: number
  readonly #messages = Array.from({ length: 6 }, (_, index) => new Model(index))
  readonly #ended: string[] = []
  #sequences = 6
  #journal: Journal | undefined
  #fresh = false

  constructor(dedupe: number) {
    this.#dedupe = dedupe
  }

  async open(): Promise<void> {
    this.#journal = await opened(this.#disk, { dedupe: this.#dedupe, segmentBytes: 256 })
    this.#fresh = true
  }

  get journal(): Journal {
    if (!this.#journal) throw new Error('not open')
    return this.#journal
  }

  /** All at once; after some operations of the disk the process is no more. */
  async round(actions: readonly Action[], killAfter: number | undefined): Promise<void> {
    this.#fresh = false
    let left = killAfter ?? Number.POSITIVE_INFINITY
    this.#disk.before = (_, path) => {
      if (left-- <= 0) throw errno('EIO', path)
    }
    const pending: Promise<unknown>[] = []
    const busy = new Set<Model>()
    for (const { what, message } of actions) {
      const model = this.#messages[message]
      if (!model || busy.has(model)) continue
      if (what === 'redrive') {
        if (model.status !== 'dead') continue
        Object.assign(model, { status: 'open', redriven: model.redriven + 1, starts: 0, running: false })
        model.sequence = ++this.#sequences
      } else if (model.status !== 'open' || model.doubt) {
      } else if (what === 'start') {
        try {
          expect(this.journal.start([model.id])).toEqual([model.starts + 1])
          model.starts++
          model.running = true
        } catch (error) {
          if (left > 0) throw error
        }
      } else if (model.running) {
        busy.add(model)
        pending.push(this.#end(model, what))
      }
    }
    await Promise.all(pending)
  }

  async #end(model: Model, what: 'done' | 'dead' | 'failed'): Promise<void> {
    try {
      await this.journal[what](model.entry)
      this.#ends(model, what)
    } catch {
      model.doubt = what
    }
  }

  #ends(model: Model, what: 'done' | 'dead' | 'failed'): void {
    model.running = false
    if (what === 'failed') return
    model.status = what
    model.starts = 0
    this.#ended.push(model.id)
  }

  async restart(): Promise<void> {
    await this.journal.close().catch(() => {})
    this.#disk.before = () => {}
    await this.open()
    for (const model of this.#messages) {
      if (!model.doubt) continue
      const known = this.journal.known(model.entry)
      expect([model.doubt, 'open']).toContain(known)
      if (known !== 'open') this.#ends(model, model.doubt)
      else if (model.doubt === 'failed' && !this.journal.suspects.has(model.id)) this.#ends(model, 'failed')
      model.doubt = undefined
    }
  }

  check(): void {
    const { journal } = this
    for (const model of this.#messages) {
      if (model.doubt) continue
      expect(journal.known(model.entry)).toBe(model.status)
      expect(journal.starts(model.id)).toBe(model.starts)
      if (this.#fresh) expect(journal.suspects.has(model.id)).toBe(model.running)
    }
    const last = [...new Set([...this.#ended].reverse())].slice(0, this.#dedupe)
    for (const id of last) {
      const { status } = this.#messages.find((model) => model.id === id) ?? {}
      if (status !== 'open') expect(journal.known(byId(id))).toBe(status)
    }
  }
}
