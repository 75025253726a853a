import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Peer } from '../contract/peer.ts'
import { type AdmissionCrypto, admissionError, Joining, type Welcome } from '../core/admission.ts'
import type { PeerInfo } from '../core/call.ts'
import { PeerCore } from '../core/peer.ts'
import type { Transport } from '../core/transport.ts'
import { openSocket } from '../transports/socket.ts'
import { openStdio } from '../transports/stdio.ts'
import { ViaductError } from '../wire/errors.ts'
import { hmac, macEquals, readCredential } from './credentials.ts'
import { errnoOf } from './errno.ts'
import { inheritedLink, STDIO } from './inheritedLink.ts'
import { hubAddress, openRuntimeFolder } from './runtimeFolder.ts'
import { startStackThread } from './stackThread.ts'

export const nodeCrypto: AdmissionCrypto = {
  mac: hmac,
  equal: macEquals,
  random: (bytes) => new Uint8Array(randomBytes(bytes)),
}

export interface JoinOptions {
  /** The app whose hub to join. A supervised child leaves it out: how it was started says all. */
  readonly app?: string
  /** The id to prove, by the key in the runtime folder. */
  readonly id?: string
  /** Stands in for the system's folder for temporary files. */
  readonly base?: string
  /**
   * Report to the hub by itself that this peer takes work, when the code that follows `await join()` has
   * run to its first pause. Default true; otherwise call `peer.ready()`.
   */
  readonly ready?: boolean
  /** A supervised child ends its process when its link ends, so that it never outlives its hub. Default true. */
  readonly exitWithLink?: boolean
  /**
   * Dial again when the link to the hub is lost, until it is there or {@link Peer.close} is called. What was
   * served is served again, subscriptions are made again. Default true for peers that join by `app` and `id`.
   */
  readonly reconnect?: boolean
  /** Stacks travel with errors. */
  readonly debug?: boolean
  /** Stay awake for 0.2 ms after messages, while that makes them come faster. Default true. */
  readonly linger?: boolean
}

/**
 * Joins a hub. A supervised child joins over the socket pair that it inherited, or over its stdin and stdout if it
 * was started so: what it prints on stdout then goes to stderr. Any other process joins by `app` and `id`, with the key that only the hub's own user can read.
 *
 * @throws ViaductError UNAVAILABLE / HUB_NOT_RUNNING · NOT_FOUND / CREDENTIAL_MISSING · UNAUTHENTICATED · those
 * of the runtime folder.
 */
export async function join(options: JoinOptions = {}): Promise<Peer> {
  const inherited = options.app === undefined ? inheritedLink() : undefined
  if (inherited) {
    const { app, fd } = inherited
    const peer = await joinOver(
      fd === STDIO ? openStdio() : openSocket({ fd }, options).transport,
      app,
      options.debug,
    )
    if (options.exitWithLink ?? true) void peer.closed.then(() => process.exit(EXIT_WITH_LINK))
    announceReady(peer, options)
    startStackThread()
    return peer
  }
  const { app, id } = options
  if (app === undefined || id === undefined) {
    throw new ViaductError(
      'FAILED_PRECONDITION',
      'join() without app and id works only in a process that a hub has started: give join({ app, id })',
      { reason: 'NOT_SUPERVISED' },
    )
  }
  const reconnect = options.reconnect ?? true
  const dialled = await dialHub(app, id, options)
  const peer = new Peer(dialled.core, dialled.you, reconnect)
  if (reconnect) void keepJoined(peer, () => dialHub(app, id, options), options.ready ?? true)
  announceReady(peer, options)
  return peer
}

/** One way in: reads the key anew, because a hub that was started again has written others. */
async function dialHub(app: string, id: string, options: JoinOptions): Promise<Joined> {
  const folder = openRuntimeFolder(app, {
    create: false,
    ...(options.base === undefined ? {} : { base: options.base }),
  })
  const key = readCredential(folder, id)
  const transport = await dial(hubAddress(folder), app, options)
  return joinWith(transport, { id, key, pid: process.pid }, app, options.debug)
}

const FIRST_DELAY_MS = 50
const LONGEST_DELAY_MS = 2_000
/** The hub has said that it does not want this peer, or has another in its place. */
const FINAL: ReadonlySet<string> = new Set(['REPLACED', 'DENIED', 'UNAUTHENTICATED'])

/** Brings a peer another link whenever it has lost one. */
async function keepJoined(peer: Peer, again: () => Promise<Joined>, ready: boolean): Promise<void> {
  for (;;) {
    const reason = await peer.core.closed
    if (peer.isClosed || FINAL.has(reason)) {
      peer.finish(reason)
      return
    }
    const joined = await redial(peer, again)
    if (!joined) return
    peer.resume(joined.core, joined.you)
    if (ready) peer.ready().catch(() => {})
  }
}

async function redial(peer: Peer, again: () => Promise<Joined>): Promise<Joined | undefined> {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS)) {
    // Full jitter: the peers of a hub that comes back do not come all at once.
    await Promise.race([sleep(Math.random() * delayMs), peer.closed])
    if (peer.isClosed) return undefined
    try {
      const joined = await again()
      if (!peer.isClosed) return joined
      joined.core.close()
      return undefined
    } catch {
      // Not there yet, or its folder not yet written: it is dialled until it is, or the peer is closed.
    }
  }
}

/** The exit code of a child whose link has ended; its supervisor stops it so as a matter of course. */
const EXIT_WITH_LINK = 0

function announceReady(peer: Peer, options: JoinOptions): void {
  if (options.ready ?? true) setImmediate(() => peer.ready().catch(() => {}))
}

async function dial(address: string, app: string, options: JoinOptions): Promise<Transport> {
  const { socket, transport } = openSocket({ path: address }, options)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', (error) => {
      reject(
        new ViaductError(
          'UNAVAILABLE',
          `no hub of ${app} answers at ${address} (${errnoOf(error)}): start it first`,
          {
            reason: 'HUB_NOT_RUNNING',
            fate: 'not-sent',
            cause: error,
          },
        ),
      )
    })
  })
  return transport
}

/** Joins over a transport whose far end is a hub, and whose end is the peer's end. */
export async function joinOver(transport: Transport, app: string, debug = false): Promise<Peer> {
  const { core, you } = await joinWith(transport, {}, app, debug)
  return new Peer(core, you)
}

interface Joined {
  readonly core: PeerCore
  readonly you: PeerInfo
}

async function joinWith(
  transport: Transport,
  who: { readonly id?: string; readonly key?: Uint8Array; readonly pid?: number },
  app: string,
  debug = false,
): Promise<Joined> {
  let welcomed: (welcome: Welcome) => void = () => {}
  const welcome = new Promise<Welcome>((resolve) => {
    welcomed = resolve
  })
  const joining = new Joining({ pid: process.pid, ...who }, nodeCrypto, (given) => {
    // At once, so that frames right behind the WELCOME find an open link.
    core.admitted(given.hub, given.limits)
    welcomed(given)
  })
  const core: PeerCore = new PeerCore(transport, {
    hub: true,
    debug,
    admission: (kind, bytes, at, length) => joining.receive(core.link, kind, bytes, at, length),
  })
  joining.begin(core.link)
  const settled = await Promise.race([welcome, core.closed])
  if (typeof settled === 'string') throw admissionError(settled, app)
  return { core, you: settled.you }
}
