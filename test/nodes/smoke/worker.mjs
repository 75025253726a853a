import { parentPort } from 'node:worker_threads'
import { peerOver, portTransport } from 'viaduct'
import { serveSmoke } from './service.mjs'

if (parentPort) serveSmoke(peerOver(portTransport(parentPort)))
