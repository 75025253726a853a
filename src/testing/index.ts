/** For tests of programs that use Viaduct, and of transports: nothing here is needed at run time. */

export { type Channel, type FarEnd, farEnd, remoteEnd, runFarEnd, type Seen } from './farEnd.ts'
export { FaultLink, type FaultOptions, faultLink, type Side } from './faultLink.ts'
export { type MemoryHub, type MemoryHubOptions, memoryHub } from './memoryHub.ts'
export { type Mock, mock, type RecordedCall, type RecordedCalls } from './mock.ts'
export type { MakeSuitePeer, SuitePeer } from './suitePeer.ts'
export {
  type Ends,
  type MakePair,
  type MakePaths,
  moveSuite,
  type SuiteFramework,
  type TransportPair,
  transportSuite,
} from './transportSuite.ts'
export { VirtualClock } from './virtualClock.ts'
