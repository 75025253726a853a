import { Assembly } from '../core/assembly.ts'
import { slotOf } from '../core/exchange.ts'
import { readU32 } from '../wire/frame.ts'
import * as AT from '../wire/headerAt.ts'
import type { Port } from './port.ts'

/** A publication that has come in fragments. */
export interface WholePublication {
  readonly name: string
  readonly header: Uint8Array
  readonly payload: Uint8Array
}

interface OfPort {
  readonly assembly: Assembly
  readonly names: Map<number, string>
}

/** Publications of which some fragments have come. Each borrows an id of its publisher until it is whole. */
export class Unfinished {
  readonly #ports = new Map<Port, OfPort>()

  /** The first fragment. @returns whether the others are wanted. */
  begin(from: Port, name: string, bytes: Uint8Array, at: number, length: number): boolean {
    let own = this.#ports.get(from)
    if (!own) {
      own = { assembly: new Assembly(), names: new Map() }
      this.#ports.set(from, own)
    }
    if (own.assembly.bytes + readU32(bytes, at + AT.payloadBytes) > from.limits.queueBytes / 2) {
      // Too many large ones at once: this one is dropped, and the rest of it is late.
      from.refused++
      return false
    }
    if (!own.assembly.begin(bytes, at, length)) {
      from.link.violation()
      return false
    }
    own.names.set(readU32(bytes, at + AT.id), name)
    return true
  }

  /** A further fragment. @returns the publication, when it is whole. */
  add(from: Port, id: number, bytes: Uint8Array, at: number): WholePublication | undefined {
    const own = this.#ports.get(from)
    const assembled = own?.assembly.add(bytes, at, readU32(bytes, at + AT.bytes))
    if (assembled === 'bad') from.link.violation()
    if (!own || !assembled || typeof assembled === 'string') return undefined
    const name = own.names.get(id)
    own.names.delete(id)
    from.madeTo[slotOf(id)] = undefined
    return name === undefined ? undefined : { name, ...assembled }
  }

  /** Its publisher calls one off. */
  drop(from: Port, id: number): void {
    const own = this.#ports.get(from)
    if (!own?.assembly.drop(id, false)) return
    own.names.delete(id)
    from.madeTo[slotOf(id)] = undefined
  }

  remove(port: Port): void {
    this.#ports.delete(port)
  }
}
