/**
 * Every code and reason: what it says, where it comes from, what to do. `viaduct explain` prints these, and
 * the page of errors is made of them, so that there is one text for each.
 */
import { CODES, type Code } from '../wire/errors.ts'
import { EXIT } from './failure.ts'
import { MAILBOX_TEXTS } from './mailboxExplanations.ts'

export interface Explanation {
  readonly name: string
  /** `code`: one of the closed set. `reason`: a word below a code. `close`: why a link ended. */
  readonly kind: 'code' | 'reason' | 'close'
  /** The code that errors of this reason have. */
  readonly code: Code
  readonly what: string
  readonly causes: readonly string[]
  readonly remedies: readonly string[]
}

export type Text = readonly [code: Code, what: string, causes: readonly string[], remedies: readonly string[]]

const CODE_TEXTS: Record<Code, Text> = {
  CANCELLED: [
    'CANCELLED',
    'The caller called it off.',
    ['an AbortSignal was aborted, a loop over a stream was left, or Ctrl-C was pressed'],
    ['nothing, if you meant to; else look at who holds the signal'],
  ],
  UNKNOWN: [
    'UNKNOWN',
    'The handler failed with an error that its contract does not declare.',
    ['the handler threw something that is not a ViaductError; the message is its own'],
    [
      'read the log of the process that serves the method',
      'declare the errors that callers should tell apart',
    ],
  ],
  INVALID_ARGUMENT: [
    'INVALID_ARGUMENT',
    'What was given can never work, whatever the state of the system.',
    ['the input does not fit the method’s schema', 'a value cannot be sent, or an option is out of range'],
    [
      'look at the path in the error: it names the place in the value',
      'correct the input; sending it again will not help',
    ],
  ],
  DEADLINE_EXCEEDED: [
    'DEADLINE_EXCEEDED',
    'The time that the caller gave ran out. The handler may still have run: see the fate.',
    [
      'the handler takes longer than the deadline, 5 s by default',
      'the process hangs, or is stopped',
      'a queue is long',
    ],
    [
      'viaduct ping PEER tells whether its loop turns',
      'give more time: timeoutMs, or --timeout 30s',
      'make long work a stream: there the deadline bounds the opening only',
    ],
  ],
  NOT_FOUND: [
    'NOT_FOUND',
    'The thing that was asked for is not there.',
    ['a file, a command, a key or a child of that name does not exist'],
    ['the reason and the message say which'],
  ],
  ALREADY_EXISTS: [
    'ALREADY_EXISTS',
    'The thing that was to be made is there already.',
    ['a second hub of one app, a second child of one id, or a method that is served twice'],
    ['use what is there, or choose another name'],
  ],
  PERMISSION_DENIED: [
    'PERMISSION_DENIED',
    'No rule of the manifest lets this peer do that. Everything that no rule allows is denied.',
    [
      'the manifest has no rule for this type or id, this method and this target',
      'there is no manifest, and the peer is neither trusted nor a supervised child of the semi-trusted zone',
    ],
    [
      'viaduct describe PEER shows what the command line may call',
      'add a rule: manifest({ cli: { call: [{ method: "pages.analyze", to: "ai" }] } })',
    ],
  ],
  RESOURCE_EXHAUSTED: [
    'RESOURCE_EXHAUSTED',
    'A queue, a quota or a rate is used up.',
    ['the target takes less than is sent to it', 'a message is larger than the receiver allows'],
    [
      'viaduct who shows what waits where',
      'send less at once, or raise the limit in the manifest',
      'wait for retryAfterMs when the error has it',
    ],
  ],
  FAILED_PRECONDITION: [
    'FAILED_PRECONDITION',
    'The system is not in a state in which this can work.',
    ['something has to be put right first; the reason says what'],
    ['put it right; sending the same again before that will not help'],
  ],
  ABORTED: [
    'ABORTED',
    'The work was begun and given up, because something else got in between.',
    ['the handler says so: two changes of one thing, for example'],
    ['begin again from what is there now'],
  ],
  OUT_OF_RANGE: [
    'OUT_OF_RANGE',
    'The value is past the end of what there is now.',
    ['the handler says so: a position behind the end of a file, for example'],
    ['ask for what is there; it may grow'],
  ],
  UNIMPLEMENTED: [
    'UNIMPLEMENTED',
    'The target does not serve this method.',
    ['the name is misspelt', 'another version of the program runs there', 'the method was withdrawn'],
    ['viaduct describe PEER lists what it serves'],
  ],
  INTERNAL: [
    'INTERNAL',
    'The side that answers broke its own promise: a fault in a program, not in the input.',
    ['an output or item does not fit the contract, or a schema threw'],
    ['repair the program that serves the method; the path names the place'],
  ],
  UNAVAILABLE: [
    'UNAVAILABLE',
    'Nobody is there to answer now. Later it may work.',
    ['the process ended, starts just now, or goes away', 'no hub runs'],
    ['viaduct who', 'send it again: at once if the fate is not-sent, else only if the method is idempotent'],
  ],
  DATA_LOSS: [
    'DATA_LOSS',
    'Data is lost or damaged beyond repair.',
    ['the handler says so'],
    ['go back to another copy'],
  ],
  UNAUTHENTICATED: [
    'UNAUTHENTICATED',
    'The hub does not know who this is.',
    [
      'the key in the runtime folder is of an earlier life of the hub, or of another user',
      'the id has no key',
    ],
    [
      'start the command again: the hub writes new keys when it starts',
      'run it as the user who runs the hub',
    ],
  ],
}

const REASON_TEXTS: Record<string, Text> = {
  TARGET_UNAVAILABLE: [
    'UNAVAILABLE',
    'The target is not connected, or its link ended while the call was open.',
    ['the process has not started, has ended or was killed', 'the id or type is misspelt'],
    [
      'viaduct who',
      'if the fate is unknown the handler may have run: send it again only if that does no harm',
    ],
  ],
  METHOD_NOT_FOUND: [
    'UNIMPLEMENTED',
    'The target is there and does not serve this method.',
    [
      'the name is misspelt; names are contract.method',
      'another version of the program runs there',
      'it was withdrawn a moment ago: the call was not sent',
    ],
    ['viaduct describe PEER'],
  ],
  ROUTE_UNKNOWN: [
    'FAILED_PRECONDITION',
    'A call came on a route that was never opened, or was dropped.',
    ['the caller’s implementation of the protocol has a fault, or its routes were dropped while it wrote'],
    ['send it again; if it stays, report it'],
  ],
  SKEW: [
    'FAILED_PRECONDITION',
    'Caller and server hold different versions of this method.',
    ['one of the two processes was updated and the other was not'],
    ['build and start both from the same contract', 'viaduct describe PEER shows the fingerprints'],
  ],
  QUEUE_FULL: [
    'RESOURCE_EXHAUSTED',
    'What the hub may hold for the target, this end for the hub, or the target for those that it answers, is used up.',
    [
      'the target reads slower than others send, or is stopped',
      'the caller asks for answers and does not read them: beyond the target’s limits.queueBytes it is refused more',
    ],
    [
      'viaduct who shows what is queued and who is paused',
      'send less at once; raise limits.queueBytes in the manifest',
    ],
  ],
  RATE_LIMITED: [
    'RESOURCE_EXHAUSTED',
    'The rate that the manifest, or a policy of the callee, gives this sender and method is used up.',
    ['more calls a second than the limit'],
    ['wait for retryAfterMs, or raise the limit in the manifest'],
  ],
  DRAINING: [
    'UNAVAILABLE',
    'The target is going away in good order and takes no new calls.',
    ['it is being stopped or restarted'],
    ['send it again: the call was not sent, and its successor will take it'],
  ],
  MESSAGE_TOO_LARGE: [
    'RESOURCE_EXHAUSTED',
    'The message is over the limit of the receiver or of the sender’s zone: 1 MiB, or 10 MiB among trusted peers.',
    ['a large value in one message'],
    ['send it as a stream or an upload', 'raise limits.messageBytes in the manifest'],
  ],
  OVERFLOW: [
    'RESOURCE_EXHAUSTED',
    'A subscription fell behind, and its topic is of the class that fails instead of dropping.',
    ['the subscriber takes longer for an event than the publisher'],
    ['do less in the loop, or declare the topic with overflow: "drop-oldest"'],
  ],
  LINK_LOST: [
    'UNAVAILABLE',
    'This end’s own link ended before the answer came.',
    ['the hub ended or was killed', 'the link was closed here'],
    ['join again; repeat what is idempotent, or has the fate not-sent'],
  ],
  TOO_MANY_CALLS: [
    'RESOURCE_EXHAUSTED',
    'Every slot for open calls of this link is taken: 4,096, or 65,536 among trusted peers.',
    ['calls are made faster than they are answered', 'handlers never answer'],
    ['bound how many calls are open at once', 'viaduct who shows who has many open'],
  ],
  TOO_MANY_ROUTES: [
    'RESOURCE_EXHAUSTED',
    'Over 1,024 different targets were called over one link.',
    ['peers are called by ids that are made anew each time'],
    ['call peers by type, or keep their ids'],
  ],
  TOO_MANY_TAPS: [
    'RESOURCE_EXHAUSTED',
    'As many watch the hub’s traffic as may at once.',
    ['taps were left open'],
    ['end one of them'],
  ],
  TOO_MANY_WATCHES: [
    'RESOURCE_EXHAUSTED',
    'As many watch who is on the hub, its metrics and its alerts as may at once: 64, and 8 of one peer.',
    ['watches were left open: a loop over watch() that is never left'],
    ['leave the loop, or call its cancel()', 'share one watch within a process'],
  ],
  HANDLER_ERROR: [
    'UNKNOWN',
    'The handler threw an error that is not one of ours.',
    ['a fault in the handler, or an error that the contract could declare'],
    ['read the log of the process that serves the method', 'declare it: method({ errors: { … } })'],
  ],
  WITHDRAWN: [
    'UNAVAILABLE',
    'The method was withdrawn while this call ran, and the grace that was left to it is over.',
    ['the process that served it has put other handlers in place, or has given the method up'],
    ['the handler may have run: send it again only if that does no harm', 'viaduct describe PEER'],
  ],
  LEASE_ENDED: [
    'FAILED_PRECONDITION',
    'A handler called a function of its caller after the call was answered, the function was released or its lease was over.',
    [
      'a callback is called after the handler has returned',
      'a kept callback stayed unused for longer than its lease',
    ],
    ['await the callback before the handler returns', 'keep it: onChange.keep({ leaseMs: 600_000 })'],
  ],
  BREAKER_OPEN: [
    'UNAVAILABLE',
    'The caller’s breaker did not make the call, because the method had failed too often in a row.',
    ['the target is down, too slow or overloaded'],
    ['wait for retryAfterMs; one call tries then', 'look at what failed before: viaduct who, viaduct tap'],
  ],
  OVERLOADED: [
    'RESOURCE_EXHAUSTED',
    'As many calls run and wait as the policy `concurrency` lets; the handler did not run.',
    ['more calls at once than the process is to take', 'handlers that hang'],
    ['try again later, with the policy retry', 'raise limit or maxWaiting, or start another process'],
  ],
  KEY_REUSED: [
    'INVALID_ARGUMENT',
    'The idempotency key came with another input before.',
    ['one key for several calls'],
    ['make a key for each call, and keep it for its tries alone'],
  ],
  BAD_REPLY: [
    'INTERNAL',
    'An interceptor answered a stream with one value, or a call with items.',
    ['an interceptor of your own that does not look at call.method.kind'],
    ['hand on { items, done } for a stream and { value } for a call'],
  ],
  BAD_CALL: [
    'INTERNAL',
    'An interceptor handed on a call of the other side.',
    ['an interceptor of your own that makes a call instead of changing the one it got'],
    ['hand on a copy of it: next({ ...call, input })'],
  ],
  ENVELOPE_UNKNOWN: [
    'UNIMPLEMENTED',
    'A value came in an envelope that nobody opens at this end.',
    ['the other end has a policy or codec that this end has not: batch(), codecs()'],
    ['give serve() and client() the same policies'],
  ],
  BATCH_TOO_LARGE: [
    'INVALID_ARGUMENT',
    'A batch holds more calls than its callee takes.',
    ['batch() was given another maxSize at the caller than at the callee'],
    ['give both ends the same maxSize'],
  ],
  BATCH_FULL: [
    'RESOURCE_EXHAUSTED',
    'The answer of one call of a batch has no room beside those of the others.',
    ['answers of many bytes'],
    ['call such a method without batch(), or stream its answer'],
  ],
  BATCH_LENGTH: [
    'INTERNAL',
    'A function for many gave another number of outputs than there were inputs.',
    ['the function of batched() leaves out what it did not find'],
    ['give one output for each input, in order; an Error for one that failed'],
  ],
  NOT_TOLD: [
    'UNAVAILABLE',
    'A cache has forgotten here, but could not tell those of other processes.',
    ['the outbox is full, or there is no link to the hub'],
    ['invalidate again when the link is back'],
  ],
  NOT_TAKEN: [
    'RESOURCE_EXHAUSTED',
    'A one-way message was not sent: the link had no room for it. Stands in entries of log().',
    ['more is sent than the far end reads'],
    ['wait for peer.drained() when notify() gives false'],
  ],
  DISK_FULL: [
    'RESOURCE_EXHAUSTED',
    'A record could not be stored: the disk, or what this user may take of it, is full.',
    ['no space, or a quota'],
    ['make room; what failed may be stored once more, with the same id'],
  ],
  DISK_FAILED: [
    'UNAVAILABLE',
    'A record could not be stored: the system refused to write it.',
    ['the folder was removed or may not be written', 'the disk fails'],
    ['the cause has the system’s own word; what failed may be stored once more, with the same id'],
  ],
  NETWORK_FILE_SYSTEM: [
    'FAILED_PRECONDITION',
    'A mailbox was not opened: its folder lies on a file system of another machine.',
    ['NFS, SMB, AFS or Ceph: their renames and syncs do not promise what a mailbox rests on'],
    [
      'choose a folder on a disk of this machine',
      'open it with allowNetworkFileSystem: true, without the promises',
    ],
  ],
  CLOSED: [
    'UNAVAILABLE',
    'The log was closed; the record is not in it.',
    ['close() was called before'],
    ['store first, then close'],
  ],
  MOCK_HAS_NO_HANDLER: [
    'UNIMPLEMENTED',
    'A mock of the test kit was called, and the test gave it no answer for this method.',
    ['the code under test calls more than the test expects'],
    ['give the mock a handler for the method; the call was recorded'],
  ],
  MALFORMED_BODY: [
    'INVALID_ARGUMENT',
    'The bytes that came are no value, or one over the receiver’s bounds of depth or number of keys.',
    ['a fault in a sender’s encoder, or a value nested or filled beyond the limits'],
    [
      'make the value smaller or flatter',
      'if it came from another implementation, test that with the vectors',
    ],
  ],
  UNSENDABLE: [
    'INVALID_ARGUMENT',
    'The value holds something that cannot travel: a function, a symbol, a class instance, a cycle, a hole.',
    ['an object with methods was passed instead of plain data'],
    ['the path names the place; send plain objects, Map, Set, Date, bigint, Error or binary data'],
  ],
  INVALID_INPUT: [
    'INVALID_ARGUMENT',
    'The server’s schema refuses the input. The handler did not run.',
    ['a field is missing, of another type or out of range; the path names it'],
    ['correct the input'],
  ],
  INVALID_UPLOAD: [
    'INVALID_ARGUMENT',
    'The server’s schema refuses an item that the caller sent.',
    ['the path has the item’s number and the place in it'],
    ['correct the items'],
  ],
  INVALID_OUTPUT: [
    'INTERNAL',
    'What the handler returned does not fit its contract.',
    ['a fault in the handler, or a contract that says less than it does'],
    ['repair the handler or the schema; the path names the place'],
  ],
  INVALID_ITEM: [
    'INTERNAL',
    'An item that the handler yielded does not fit its contract.',
    ['a fault in the handler, or a contract that says less than it does'],
    ['repair the handler or the schema; the path has the item’s number'],
  ],
  INVALID_PROGRESS: [
    'INTERNAL',
    'What a handler told of its progress does not fit its contract.',
    ['a fault in the handler, or a contract that says less than it does'],
    ['repair the handler or the schema'],
  ],
  INVALID_ERROR: [
    'INTERNAL',
    'The data of a declared error does not fit its schema, or the error is not declared.',
    ['a handler made the error with other data than the contract says'],
    ['repair the handler or the contract'],
  ],
  INVALID_DATA: [
    'INVALID_ARGUMENT',
    'An event does not fit its topic’s schema.',
    ['the publisher sent something else, or is of another version'],
    ['repair the publisher; subscribers leave the event out'],
  ],
  SCHEMA_ERROR: [
    'INTERNAL',
    'A schema threw, instead of saying what it does not like.',
    ['a fault in a refinement or transform of the schema'],
    ['repair the schema; the cause is in the message'],
  ],
  INVALID_CONTRACT: [
    'INVALID_ARGUMENT',
    'A contract, its handlers or the way they are used is not as it must be.',
    ['a name that is not allowed, a missing handler, something that is no schema'],
    ['the message names the place'],
  ],
  NO_LINK: [
    'FAILED_PRECONDITION',
    'A method that is answered was used where there are mailboxes and no link.',
    ['mailboxes().client() or .serve() with a method that has no `delivery`'],
    ['use the client() or serve() of a peer, with { durable }'],
  ],
  MAILBOXES_MISSING: [
    'FAILED_PRECONDITION',
    'A method that is delivered at least once is called or served where nothing keeps its calls.',
    ['client() or serve() was not given `durable`', 'mailboxes() was not told which is the server’s own'],
    ['give both { durable: await mailboxes({ root }) } of viaduct/mailbox, the server with its `group`'],
  ],
  CODEC_MISSING: [
    'INVALID_ARGUMENT',
    'A method that is compressed, sealed or signed is used without what does that.',
    [
      'no codecs() among the policies, or not next to the link',
      'codecs() without keys',
      'a call or a handler by name instead of client() and serve()',
    ],
    ['give client() and serve() codecs() of viaduct/codecs: last there, first here'],
  ],
  CODEC_TARGET: [
    'INVALID_ARGUMENT',
    'A sealed or signed method was to go to any peer of a type.',
    ['seals and signatures are for one peer'],
    ['give the client { id } as its target', 'put the other methods into a contract of their own'],
  ],
  UNPROTECTED: [
    'UNAUTHENTICATED',
    'A value came without the seal or signature that its contract asks for.',
    ['the other end has no codecs() among its policies', 'it was called by name, or by the command line'],
    ['use codecs() at both ends'],
  ],
  TAMPERED: [
    'UNAUTHENTICATED',
    'A sealed or signed value is not what the other end sent, or came where it does not belong.',
    ['somebody between the ends has changed, moved or left out something'],
    ['find out what lies between the two; the value was not used'],
  ],
  REPLAYED: [
    'ABORTED',
    'A sealed or signed call came a second time, or over 1,024 calls late.',
    ['somebody sent it again', 'a low lane was overtaken by very many calls of the same client'],
    ['use a client of its own for what may wait so long'],
  ],
  CUT_SHORT: [
    'DATA_LOSS',
    'The last items of a sealed or signed stream or upload are missing.',
    ['somebody between the ends has left them out'],
    ['do not use what came as if it were all'],
  ],
  KEY_UNKNOWN: [
    'UNAUTHENTICATED',
    'None of the keys known of a peer has signed its agreement.',
    [
      'its keyring is not told to the hub',
      'another key is pinned',
      'the peer was started again with a new key',
    ],
    ['give its keyring its peer', 'pin the key that it says, and give it a seed so that it keeps it'],
  ],
  KEY_EXPIRED: [
    'UNAUTHENTICATED',
    'An agreement was signed with a key that has been replaced.',
    ['the overlap of the old and the new key is over'],
    ['let that peer use its new key'],
  ],
  SESSION_UNKNOWN: [
    'FAILED_PRECONDITION',
    'The callee does not know the agreement that a sealed or signed call rests on.',
    ['it was started again', 'it has had many others since'],
    ['call again: the ends agree anew. Only uploads are not repeated by themselves'],
  ],
  SESSION_EXPIRED: [
    'FAILED_PRECONDITION',
    'The agreement that a sealed or signed call rests on is over its time.',
    ['it was unused for an hour', 'a key behind it was replaced'],
    ['call again: the ends agree anew'],
  ],
  CODEC_UNKNOWN: [
    'UNIMPLEMENTED',
    'A peer got a sealed or signed value and cannot open any.',
    ['peers in Python have no seals and signatures'],
    ['let a peer in TypeScript serve it'],
  ],
  MANIFEST_INVALID: [
    'INVALID_ARGUMENT',
    'A rule of the manifest is not of the form that rules have.',
    ['a misspelt key, an unknown zone, a pattern that is none'],
    ['the path names the rule; patterns are "pages.analyze", "pages.*" and "*"'],
  ],
  REPLAY_INVALID: [
    'INVALID_ARGUMENT',
    'What the hub is to keep of topics is not of the form that such rules have.',
    ['a misspelt key, a number out of range, a pattern that is none'],
    ['the path names the rule; it is { count, bytes, ageMs } under "pages.opened", "pages.*" or "*"'],
  ],
  BAD_SUBSCRIPTION: [
    'INVALID_ARGUMENT',
    'A subscription asks for what a hub cannot do.',
    [
      'lastEventId is no id of an event, or of one that this hub has not published',
      'lastEventId together with a group, an unknown overflow, a maxAgeMs that is not over 0',
      'a star within a name: patterns are "pages.*" and "*"',
    ],
    ['the path names the option; pass subscription.lastEventId as it was given'],
  ],
  BAD_APP_NAME: [
    'INVALID_ARGUMENT',
    'The app’s name cannot name a folder.',
    ['capitals, spaces or other characters'],
    ['use 1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit'],
  ],
  BAD_ID: [
    'INVALID_ARGUMENT',
    'The name cannot be a peer’s id.',
    ['capitals, spaces or other characters'],
    ['use 1 to 64 of a-z, 0-9, _ and -'],
  ],
  BAD_METHOD: [
    'INVALID_ARGUMENT',
    'What was given as a method or topic is none.',
    ['publish() or subscribe() was given a name', 'a name of over 256 characters'],
    ['pass the method or topic of a contract, as pages.opened'],
  ],
  BAD_LIMIT: [
    'INVALID_ARGUMENT',
    'A limit is no number, or out of its range.',
    ['a value was computed wrongly, or is in another unit'],
    ['the message names the limit and its range'],
  ],
  BAD_OPTION: [
    'INVALID_ARGUMENT',
    'Something was made with an option that it does not have, or a value that does not fit.',
    [
      'a misspelt name',
      'a value in another unit: a share where a number of messages is meant, seconds for ms',
    ],
    ['the path names the option, the message what it takes'],
  ],
  BAD_REPORT: [
    'INVALID_ARGUMENT',
    'A peer’s report of its policies is not of the form that the hub takes.',
    ['a policy counts with something else than numbers and short texts', 'there are over 256 policies'],
    ['the path names the entry; see docs/reference/hub-figures.md'],
  ],
  QUEUE_CLOSED: [
    'UNAVAILABLE',
    'The queue was closed; the message is not in it.',
    ['close() was called while somebody waited to enqueue, or before'],
    ['stop sending first, then close'],
  ],
  BAD_LINK: [
    'INVALID_ARGUMENT',
    'A child was to be started with a link of a kind that there is not.',
    ['a misspelt link, or one of another version'],
    ["link: 'socket' (the default) or 'stdio'"],
  ],
  BAD_BUSY: [
    'INVALID_ARGUMENT',
    'busy() was given a time that is over, or too far away.',
    ['it takes a time, not a duration', 'the work takes longer than one declaration may cover'],
    ['give Date.now() + the milliseconds it takes', 'declare it again before it is over'],
  ],
  BAD_LINK_DESCRIPTOR: [
    'FAILED_PRECONDITION',
    'VIADUCT_FD does not name an open socket, or stdin and stdout are no pipes.',
    [
      'a program between the supervisor and this one did not pass the descriptor on',
      'the variable is left over',
    ],
    ['start the program directly, or remove VIADUCT_FD'],
  ],
  NOT_SUPERVISED: [
    'FAILED_PRECONDITION',
    'join() without app and id was called in a process that no hub has started.',
    ['the program was started by hand'],
    ['let hub.supervise start it, or give join({ app, id }) and admit the id'],
  ],
  INVALID_MESSAGE: [
    'INVALID_ARGUMENT',
    'A message for the router is not of its form; the path names the field.',
    [
      'a field is missing, of another type, or there is one too many',
      'it holds something that cannot be sent, or is too large',
    ],
    ['compare it with the fields of IPCMessage', 'let the router fill in what it can fill in by itself'],
  ],
  NOT_OPEN: [
    'FAILED_PRECONDITION',
    'A function that works on the router opened last was called while none is open.',
    ['it was called before the router was opened, or after it was closed'],
    ['await IPCRouter.listen or IPCRouter.connect first', 'or pass the router'],
  ],
  ALREADY_STARTED: [
    'FAILED_PRECONDITION',
    'startEnhancedIPC was called where the process’s IPC system could not take it any more.',
    ['it receives already', 'messages were sent before, with another root or other options'],
    ['start it once, before the first send()', 'or stop() it first'],
  ],
  HUB_NOT_RUNNING: [
    'UNAVAILABLE',
    'No hub of this app runs here.',
    [
      'the program has not started, or has ended',
      'it runs as another user, or with another XDG_RUNTIME_DIR or TMPDIR',
      'the app has another name',
    ],
    ['start the program', 'viaduct who without --app lists the hubs that run, if there are several'],
  ],
  HUB_RUNNING: [
    'ALREADY_EXISTS',
    'A hub of this app runs already.',
    ['the program was started twice'],
    ['stop the other: the message has its pid', 'or give this one another app name'],
  ],
  HUB_START_FAILED: [
    'INTERNAL',
    'The hub’s process ended before it had started.',
    ['its output on stderr says why'],
    ['repair that, and start again'],
  ],
  LOCK_UNREADABLE: [
    'FAILED_PRECONDITION',
    'Something foreign lies in the place of a lock: that of a hub, or of a mailbox’s receiver.',
    ['a program or a person put it there'],
    ['look at it, then remove it; the message has the path'],
  ],
  RUNTIME_FOLDER_UNSAFE: [
    'FAILED_PRECONDITION',
    'The runtime folder could be entered or replaced by others, so nothing in it can be trusted.',
    ['it was made by another user, or with too wide a mode, or is a link'],
    ['the message says what to change', 'or set XDG_RUNTIME_DIR to a folder of your own with mode 0700'],
  ],
  RUNTIME_FOLDER_UNUSABLE: [
    'FAILED_PRECONDITION',
    'The runtime folder cannot be made or read.',
    ['a full or read-only disk, a missing folder, or something that removes it again'],
    ['set XDG_RUNTIME_DIR to a folder of your own with mode 0700'],
  ],
  SOCKET_PATH_TOO_LONG: [
    'FAILED_PRECONDITION',
    'The path of the hub’s socket is longer than the system takes.',
    ['a long folder for temporary files, or a long app name'],
    ['set XDG_RUNTIME_DIR to a shorter one, or shorten the app name'],
  ],
  CREDENTIAL_MISSING: [
    'NOT_FOUND',
    'There is no key for this id in the runtime folder.',
    ['the hub does not know the id', 'the hub has ended and removed its keys'],
    ['name the id in the manifest with join: true, or call hub.admit', 'start the hub'],
  ],
  CREDENTIAL_UNSAFE: [
    'FAILED_PRECONDITION',
    'The key’s file could have been read or replaced by others.',
    ['its mode was changed, it is a link, or has a second name'],
    ['remove it and start the hub again: it writes a new one'],
  ],
  CHILD_EXISTS: [
    'ALREADY_EXISTS',
    'A child of this id is supervised already.',
    ['supervise was called twice'],
    ['stop the first, or use another id'],
  ],
  CHILD_UNKNOWN: [
    'NOT_FOUND',
    'No child of this id is supervised.',
    ['the id is misspelt, or supervise was not called'],
    ['hub.children() lists them'],
  ],
  CHILD_STOPPED: [
    'UNAVAILABLE',
    'The child was stopped on purpose.',
    ['hub.stop was called'],
    ['supervise it again'],
  ],
  CHILD_FAILED: [
    'UNAVAILABLE',
    'The child failed so often in so short a time that it is not started again.',
    ['it ends or hangs each time it starts'],
    ['its status in hub.children() has the end of its stderr', 'repair it, then supervise it again'],
  ],
  COMMAND_NOT_FOUND: [
    'NOT_FOUND',
    'The child’s command is not there, or may not be run.',
    ['a misspelt path, a missing program, another working folder'],
    ['give the full path; run the same command by hand'],
  ],
  SUPERVISOR_STOPPED: [
    'FAILED_PRECONDITION',
    'The hub is being closed and starts no more children.',
    ['supervise was called after close'],
    ['do not start children while you stop'],
  ],
}

const CLOSE_TEXTS: Record<string, Text> = {
  TRANSPORT_CLOSED: [
    'UNAVAILABLE',
    'The link ended without a word: the kernel says that the other side has gone.',
    ['the other process ended or was killed'],
    ['viaduct who; the supervisor restarts its children'],
  ],
  PROTOCOL_ERROR: [
    'UNAVAILABLE',
    'The other side broke the protocol, and only its own link was closed.',
    ['something else than Viaduct talks on this socket', 'an implementation has a fault'],
    ['test the other implementation with the vectors'],
  ],
  VERSION_MISMATCH: [
    'UNAVAILABLE',
    'Both sides speak versions of the protocol that have none in common.',
    ['one program uses a much older version of the package'],
    ['update the older one'],
  ],
  ADMISSION_TIMEOUT: [
    'UNAVAILABLE',
    'The peer did not prove in time who it is.',
    ['it hangs, or is no peer at all'],
    ['look at the process that tried to join'],
  ],
  HEARTBEAT_LOST: [
    'UNAVAILABLE',
    'The peer stopped answering pings.',
    ['its event loop is blocked by long work', 'the process is stopped'],
    ['move long work into a worker, or into pieces'],
  ],
  GOING_AWAY: [
    'UNAVAILABLE',
    'The other side ended the link in good order.',
    ['it stops, restarts, or was told to close'],
    ['join again when it is back'],
  ],
  REPLACED: [
    'UNAVAILABLE',
    'Another link proved the same id, and the newer one stays.',
    ['a second process joined under this id', 'this process joined again'],
    ['give each process an id of its own'],
  ],
  DENIED: [
    'UNAUTHENTICATED',
    'The hub admits no such peer, or no more peers at once.',
    ['the id is reserved, or the hub is closing', 'too many links are on their way in'],
    ['use another id; try again in a moment'],
  ],
}

function entries(texts: Record<string, Text>, kind: Explanation['kind']): Explanation[] {
  return Object.entries(texts).map(([name, [code, what, causes, remedies]]) => ({
    name,
    kind,
    code,
    what,
    causes,
    remedies,
  }))
}

/** All of them: codes by number, then reasons and closes by name. */
export const EXPLANATIONS: readonly Explanation[] = [
  ...entries(CODE_TEXTS, 'code').sort((one, other) => CODES[one.code] - CODES[other.code]),
  ...entries({ ...REASON_TEXTS, ...MAILBOX_TEXTS }, 'reason').sort(byName),
  ...entries(CLOSE_TEXTS, 'close').sort(byName),
]

/** The explanation of a code, a reason, or an exit code that stands for a call's error. */
export function explanationOf(word: string): Explanation | undefined {
  const name = word.toUpperCase().replaceAll('-', '_')
  const number = /^\d+$/.test(word) ? Number(word) - EXIT.CALL : Number.NaN
  return EXPLANATIONS.find(
    ({ name: known, kind, code }) => known === name || (kind === 'code' && CODES[code] === number),
  )
}

function byName(one: Explanation, other: Explanation): number {
  return one.name < other.name ? -1 : 1
}
