import type { Caller, ItemStream, Server, Target } from '../core/call.ts'
import type { Method } from '../core/method.ts'
import { ViaductError } from '../wire/errors.ts'

/** Stands where a client or a server of durable methods alone has no link: every other method is refused. */
export class NoLink implements Caller, Server {
  readonly target: Target | undefined

  constructor(target?: Target) {
    this.target = target
  }
  call(method: Method): Promise<never> {
    return Promise.reject(noLink(method))
  }
  stream(method: Method): ItemStream {
    throw noLink(method)
  }
  notify(method: Method): boolean {
    throw noLink(method)
  }
  handle(method: Method): never {
    throw noLink(method)
  }
}

function noLink({ name }: Method): ViaductError {
  return new ViaductError(
    'FAILED_PRECONDITION',
    `${name} is answered, which takes a link: call and serve it at a peer, as of join()`,
    { reason: 'NO_LINK', path: name, fate: 'not-sent' },
  )
}
