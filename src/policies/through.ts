import type { Caller, Server } from '../core/call.ts'
import { type Interceptor, interceptedCaller, interceptedHandler } from '../core/interceptor.ts'

/**
 * A caller behind policies, for a `client()` that takes none itself, as that of `viaduct/browser`:
 * `client(throughCaller(peer, [retry()]), pages)`. The first policy sees a call first and its reply last.
 */
export function throughCaller(caller: Caller, policies: readonly Interceptor[]): Caller {
  return interceptedCaller(caller, policies)
}

/**
 * A server whose handlers stand behind policies, for a `serve()` that takes none itself, as that of `viaduct/browser`:
 * `serve(throughServer(peer, [concurrency({ limit: 4 })]), pages, handlers)`. All of them see what came, before input
 * is checked, and what leaves, after output was.
 */
export function throughServer(server: Server, policies: readonly Interceptor[]): Server {
  return {
    handle: (method, handler) => server.handle(method, interceptedHandler(method, handler, policies)),
  }
}
