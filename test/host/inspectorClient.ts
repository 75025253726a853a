import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import type { Socket } from 'node:net'

/** A debugger at a process's inspector: as much of WebSocket and of its protocol as a test needs. */
export class InspectorClient {
  readonly #socket: Socket
  #bytes = Buffer.alloc(0)
  #number = 0
  readonly #waiting = new Map<string, (message: unknown) => void>()

  static connect(url: string): Promise<InspectorClient> {
    return new Promise((resolve, reject) => {
      const headers = {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      }
      const asked = request(url.replace(/^ws:/, 'http:'), { headers })
      asked.once('upgrade', (_response, socket) => resolve(new InspectorClient(socket)))
      asked.once('error', reject)
      asked.end()
    })
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      while (this.#read());
    })
  }

  /** Settles with the answer. */
  send(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#number
    const payload = Buffer.from(JSON.stringify({ id, method, params }))
    if (payload.length > 125) throw new RangeError('too long for this client')
    // Masked with zeros, which a client may choose.
    this.#socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]))
    return this.next(String(id))
  }

  /** The next event of that name. */
  next(event: string): Promise<unknown> {
    return new Promise((resolve) => this.#waiting.set(event, resolve))
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(): boolean {
    const bytes = this.#bytes
    if (bytes.length < 2) return false
    const short = (bytes[1] ?? 0) & 0x7f
    const from = short < 126 ? 2 : short === 126 ? 4 : 10
    if (bytes.length < from) return false
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
    if (bytes.length < from + length) return false
    const message: unknown = JSON.parse(bytes.toString('utf8', from, from + length))
    this.#bytes = bytes.subarray(from + length)
    const key = typeof message === 'object' && message !== null ? keyOf(message) : ''
    this.#waiting.get(key)?.(message)
    this.#waiting.delete(key)
    return true
  }
}

function keyOf(message: object): string {
  if ('id' in message) return String(message.id)
  return 'method' in message ? String(message.method) : ''
}
