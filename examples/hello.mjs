import { contract, Hub, join, method, unchecked } from 'viaduct'

const greeter = contract('greeter', { hello: method({ input: unchecked(), output: unchecked() }) })

if (process.argv.includes('--greeter')) {
  const peer = await join() // who it is comes from how it was started
  peer.serve(greeter, { hello: (name) => `Hello ${name}, process ${process.pid} speaking.` })
} else {
  const hub = await Hub.listen({ app: 'hello', manifest: { main: { call: ['greeter.*'] } } })
  const run = [process.execPath, import.meta.filename, '--greeter']
  await hub.supervise('greeter-1', { type: 'greeter', run }) // started, watched, restarted
  console.log(await hub.client(greeter, { type: 'greeter' }).hello('Ada'))
  await hub.close()
}
