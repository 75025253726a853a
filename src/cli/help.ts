/** What `--help` prints. */

export interface VerbHelp {
  readonly usage: string
  readonly about: string
  readonly text: string
}

const COMMON = `Options of all verbs:
  --app NAME       the app whose hub is meant
  --timeout TIME   500ms, 2s, 1m; 0 for no bound (default 5s)
  --json           JSON on stdout, a line each; notes and errors as JSON on stderr
  --base FOLDER    what the program gave its hub as \`base\`
  -h, --help       this text`

export const VERBS: Readonly<Record<string, VerbHelp>> = {
  who: {
    usage: 'viaduct who [--watch]',
    about: 'who is connected',
    text: `Lists the peers of the hub: id, type, zone, process, state, open calls, what waits for them.

  --watch          a line for each peer and supervised child, then for each change, as it happens: who joins,
                   leaves and why, is ready, drains, is started again, serves what; with --json the changes
                   themselves. Ctrl-C ends it`,
  },
  ping: {
    usage: 'viaduct ping [PEER] [--count N]',
    about: 'round trips to the hub, or through it to a peer',
    text: `Measures round trips to the hub. With PEER also those from the hub to that peer, which answers without
any of its own code: a peer that is connected and does not answer has a loop that hangs.

  --count N        how many (default 5)`,
  },
  describe: {
    usage: 'viaduct describe [PEER | type:TYPE]',
    about: 'what peers serve, and what you may call',
    text: `Lists methods with kind (call or stream) and fingerprint, and for each whether the manifest lets the command
line call it.`,
  },
  call: {
    usage: 'viaduct call PEER|type:TYPE METHOD [-d JSON | -d @FILE | -d -] [KEY=VALUE …]',
    about: 'calls a method',
    text: `Calls a method and prints its answer; of a stream the items, as they come. Ctrl-C cancels the handler.
With type:TYPE the least loaded peer of that type answers.

  -d, --data JSON  the input; @FILE reads a file, - reads stdin
  KEY=VALUE        adds a member to the input: JSON if it is JSON, else text; n=3, name=Ann, 'id="3"'
  --raw            prints text and binary data as they are, without a line's end
  --stream         the method is a stream: what it returns in the end is a note, not data

JSON has no dates, bigints, maps, sets or binary data: they are printed as text, objects, lists, and
{ type, bytes, base64 }.

  viaduct call ai-1 pages.analyze url=https://example.org
  viaduct call type:network pages.lines path=/etc/hosts --json | head -3`,
  },
  tap: {
    usage: 'viaduct tap [--peer ID] [--method NAME] [--count N]',
    about: 'the live traffic',
    text: `Prints a line for each message that goes through the hub: time, from → to, kind, method, status, bytes,
lane, and milliseconds for ends. It reads no message's content. Ctrl-C ends it.

  --peer ID        only what comes from or goes to this peer
  --method NAME    only this method or topic; 'pages.*' for all of a contract
  --count N        ends after so many messages

Kinds: call, notify (one way), item, uploaded (the caller's items end), end, error, cancel, refused (never
reached its target; the status says why), subscribe, publish, event.`,
  },
  mailbox: {
    usage: `viaduct mailbox list [ROOT]
       viaduct mailbox show GROUP [ID]
       viaduct mailbox dead GROUP [--reason REASON] [--limit N]
       viaduct mailbox redrive GROUP ID …|--all|--reason REASON [--dry-run]
       viaduct mailbox purge GROUP ID …|--all|--older-than TIME [--dry-run] [--yes]
       viaduct mailbox send GROUP TYPE [-d JSON | -d @FILE | -d -] [KEY=VALUE …] [--ack] [--delay TIME]`,
    about: 'durable mailboxes: what waits, what is dead, and sending',
    text: `Reads and changes the mailboxes of a folder. It needs no hub, and a receiver may run meanwhile.

  list             a line for each mailbox: store, messages that wait (~: about), dead letters, who receives
  show             the same of one mailbox, with its dead letters; with ID one dead letter, its error and payload
  dead             its dead letters, the newest first
  redrive          stores dead letters' messages again, with their ids, the oldest first
  purge            removes dead letters for good; without ids it wants --yes
  send             stores a message and prints its id; -d and KEY=VALUE as in viaduct call

  --root FOLDER    where the mailboxes are (default data/ipc)
  --all            every dead letter
  --reason REASON  those that died of it
  --older-than TIME  those that died so long ago: 30m, 12h, 7d
  --limit N        so many of them (default 50)
  --dry-run        tells what would be done, and does nothing
  --ack            waits until the receiver is done with the message; --timeout TIME bounds that
  --delay TIME     not delivered sooner than after this
  --store STORE    log or folder: makes the mailbox if it is not there`,
  },
  explain: {
    usage: 'viaduct explain [CODE | REASON | EXIT]',
    about: 'what an error means and what to do',
    text: 'Explains a code, a reason, or an exit code from 65 to 80. Without a word it lists all of them.',
  },
  help: {
    usage: 'viaduct help [VERB]',
    about: 'this text, or that of a verb',
    text: '',
  },
}

export function generalHelp(): string {
  const width = Math.max(...Object.keys(VERBS).map((name) => name.length))
  const verbs = Object.entries(VERBS).map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`)
  return `viaduct: talks to the processes of a running Viaduct hub.

Usage: viaduct VERB [ARGUMENT …] [OPTION …]

${verbs.join('\n')}

${COMMON}
  --version        the version of this program

The hub is found by --app, else by VIADUCT_CONTEXT, else by the next package.json above this folder with
"viaduct": { "app": NAME }, else it is the only hub that runs. NO_COLOR turns colours off.

Exit codes: 0 done; 1 error; 2 wrong usage; 4 not authorised; 64 + the number of its code for the error of
a call (71: PERMISSION_DENIED); 130 interrupted. \`viaduct explain 71\` tells more.`
}

export function verbHelp({ usage, text }: VerbHelp): string {
  return [`Usage: ${usage}`, text, COMMON].filter((part) => part !== '').join('\n\n')
}
