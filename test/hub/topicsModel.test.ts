/** Topics against a model that fits on a page: patterns, groups, links that are lost, and what is kept. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventGap, Subscription } from '../../src/core/call.ts'
import { untyped } from '../../src/core/method.ts'
import { matches } from '../../src/core/pattern.ts'
import type { PeerCore } from '../../src/core/peer.ts'
import { HubRig } from '../support/hubRig.ts'

const TOPICS = ['a', 'a.x', 'a.y', 'b.x'].map((name) => untyped(name, 'topic'))
const NAMES = ['a', 'a.x', 'b.x', 'a.*', 'b.*', '*'] as const
const RULES = { main: { publish: ['*'] }, sub: { subscribe: ['a', 'a.*', 'b.y'] } }
/** Events of a topic that the hub keeps. */
const KEPT = 3

type Step =
  | { readonly do: 'publish'; readonly topic: number; readonly count: number }
  | { readonly do: 'subscribe'; readonly name: number; readonly group: string | undefined }
  | { readonly do: 'lose' | 'cancel' | 'again'; readonly which: number }

const which = fc.nat({ max: 5 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant<'publish'>('publish'),
      topic: fc.nat({ max: TOPICS.length - 1 }),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant<'subscribe'>('subscribe'),
      name: fc.nat({ max: NAMES.length - 1 }),
      group: fc.constantFrom(undefined, undefined, 'g', 'h'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom<'lose' | 'cancel' | 'again'>('lose', 'cancel', 'again'),
      which,
    }),
  },
)

interface Event {
  readonly number: number
  readonly topic: string
}

/** One who subscribes, over one link after another. */
interface Follower {
  readonly name: string
  readonly group: string | undefined
  peer: PeerCore | undefined
  subscription: Subscription | undefined
  /** The number of the event up to which it has everything, or was told of a gap. */
  position: number
  readonly expected: number[]
  readonly seen: number[]
  readonly gaps: (bigint | 'unknown')[]
  readonly expectedGaps: (bigint | 'unknown')[]
}

const isPattern = (name: string): boolean => name.endsWith('*')
const may = (name: string): boolean => RULES.sub.subscribe.some((rule) => matches(rule, name))

async function open(rig: HubRig, follower: Follower, lastEventId?: string): Promise<boolean> {
  const peer = await rig.join(`sub-${++peers}`, 'sub')
  const { name, group, seen, gaps } = follower
  const options = {
    timeoutMs: 0,
    onGap: ({ missed }: EventGap) => gaps.push(missed),
    ...(group === undefined ? {} : { group }),
    ...(lastEventId === undefined ? {} : { lastEventId }),
  }
  const subscription: Subscription = isPattern(name)
    ? peer.subscribeAll(name, options)
    : peer.subscribe(untyped(name, 'topic'), options)
  const ready = subscription.ready.then(
    () => true,
    () => false,
  )
  void (async () => {
    for await (const _ of subscription) seen.push(Number(subscription.last?.id))
  })().catch(() => {})
  await rig.settle()
  follower.peer = peer
  follower.subscription = subscription
  return ready
}
let peers = 0

async function play(steps: readonly Step[]): Promise<void> {
  const rig = new HubRig({ rules: RULES, replay: { '*': { count: KEPT } } })
  const main = await rig.join('main', 'main')
  const followers: Follower[] = []
  const events: Event[] = []
  const shared = new Map<string, number[]>()
  const wants = (follower: Follower, topic: string) => matches(follower.name, topic) && may(topic)
  for (const now of steps) {
    if (now.do === 'publish') {
      for (let count = 0; count < now.count; count++) {
        const topic = TOPICS[now.topic]
        if (!topic) continue
        main.publish(topic, count)
        const number = events.push({ number: events.length + 1, topic: topic.name })
        const groups = new Set<string>()
        for (const follower of followers) {
          if (!follower.peer || !wants(follower, topic.name)) continue
          if (follower.group !== undefined) groups.add(follower.group)
          else {
            follower.expected.push(number)
            follower.position = number
          }
        }
        for (const group of groups) shared.set(group, [...(shared.get(group) ?? []), number])
      }
    } else if (now.do === 'subscribe') {
      const follower: Follower = {
        name: NAMES[now.name] ?? '*',
        group: now.group,
        peer: undefined,
        subscription: undefined,
        position: events.length,
        expected: [],
        seen: [],
        gaps: [],
        expectedGaps: [],
      }
      // For `b.*` there is the rule of `b.y`, though nobody publishes that.
      expect(await open(rig, follower)).toBe(isPattern(follower.name) || may(follower.name))
      if (isPattern(follower.name) || may(follower.name)) followers.push(follower)
    } else {
      const follower = followers[now.which % Math.max(1, followers.length)]
      if (!follower) continue
      if (now.do !== 'again') {
        if (now.do === 'cancel') follower.subscription?.cancel()
        else if (follower.peer) follower.peer.link.close('HEARTBEAT_LOST')
        follower.peer = undefined
      } else if (!follower.peer && follower.group !== undefined) {
        await open(rig, follower)
      } else if (!follower.peer) {
        const later = events.filter(
          ({ number, topic }) => number > follower.position && wants(follower, topic),
        )
        const kept = later.filter(
          ({ number, topic }) =>
            events.filter((event) => event.topic === topic && event.number > number).length < KEPT,
        )
        const lost = later.length - kept.length
        if (lost > 0) follower.expectedGaps.push(isPattern(follower.name) ? 'unknown' : BigInt(lost))
        if (!isPattern(follower.name)) {
          for (const { number } of later)
            if (!kept.some((event) => event.number === number)) follower.position = number
        }
        for (const { number } of kept) {
          follower.expected.push(number)
          follower.position = number
        }
        await open(rig, follower, follower.subscription?.lastEventId)
      }
    }
    await rig.settle()
  }
  for (const { group, seen, expected, gaps, expectedGaps } of followers) {
    expect(gaps).toEqual(expectedGaps)
    if (group === undefined) expect(seen).toEqual(expected)
  }
  for (const group of ['g', 'h']) {
    const seen = followers.filter((follower) => follower.group === group).flatMap((follower) => follower.seen)
    expect(seen.sort((one, other) => one - other)).toEqual(shared.get(group) ?? [])
  }
  for (const { peer } of followers) peer?.close()
  await rig.settle()
  expect(rig.hub.topics.stats()).toEqual([])
  expect(rig.leftovers()).toEqual([])
}

describe('topics against their model', () => {
  it('1,000 runs: every event comes once to whom it should, or is told as a gap', async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), play), {
      numRuns: Number(process.env.MODEL_RUNS ?? 1000),
    })
  })
})
