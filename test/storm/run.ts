/** The long storm, with its figures: `npm run test:storm`. */
import { mailboxStorms } from '../mailbox/kills/run.ts'
import { killStorm, type Outcome, suspension } from './killStorm.ts'
import { table } from './verdict.ts'

const number = (name: string, otherwise: number): number => {
  const given = Number(process.env[name] ?? otherwise)
  if (!Number.isFinite(given) || given < 0)
    throw new Error(`${name} is ${process.env[name]}, which is no number`)
  return given
}

const options = {
  seed: number('VIADUCT_SEED', Math.floor(Math.random() * 2 ** 32)),
  kills: number('VIADUCT_KILLS', 10_000),
  seconds: number('VIADUCT_SECONDS', 3_300),
  hubShare: 4,
}
console.log(`kill storm: VIADUCT_SEED=${options.seed}, ${options.kills} kills, ${options.seconds} s at most`)
if (options.kills > 0) tell(await killStorm(options))

const suspendSeconds = number('VIADUCT_SUSPEND_SECONDS', 60)
if (suspendSeconds > 0) {
  console.log(`the whole tree suspended for ${suspendSeconds} s`)
  tell(await suspension(options.seed, suspendSeconds))
}

const mailboxKills = number('VIADUCT_MAILBOX_KILLS', 10_000)
if (mailboxKills > 0) {
  console.log(`mailbox storm: ${mailboxKills} kills over each store`)
  const messages = number('VIADUCT_MAILBOX_MESSAGES', 100_000)
  const { seed, seconds } = options
  if (!(await mailboxStorms({ seed, kills: mailboxKills, messages, seconds }))) process.exitCode = 1
}

function tell({ report, verdict }: Outcome): void {
  console.log(table(report, verdict))
  for (const fault of verdict.faults.slice(0, 50)) console.error(`VIOLATION ${fault}`)
  if (verdict.faults.length > 0) process.exitCode = 1
}
