// `npm run kill-sweep -- --points=100`: SIGKILL at so many points of a payment's life, on the payer's node, on the payee's, and in
// half as many of a local payment; the node comes back, everything settles, and both banks are audited. `--at-once`: pairs of banks;
// `--scene`: a part of a scene's name.
import { parseArgs } from 'node:util'
import { messageOf } from '../shared/platform/index.ts'
import { startTestServer, TEST_SERVER_VARIABLE } from '../shared/testing/index.ts'
import { type PointOutcome, type Scene, scenes, sweep } from './kill-sweep/sweep.ts'

interface Task {
  scene: Scene
  points: number[]
  total: number
}

/** Points that one pair of banks goes through, every so-many-th of them. */
const POINTS_PER_PAIR = 25

function tasksOf(scene: Scene, total: number): Task[] {
  const pairs = Math.ceil(total / POINTS_PER_PAIR)
  const all = Array.from({ length: total }, (_, index) => index)
  return Array.from({ length: pairs }, (_, pair) => ({
    scene,
    total,
    points: all.filter((index) => index % pairs === pair),
  }))
}

const words = (statement: string): string => statement.replaceAll(/\s+/g, ' ').trim().slice(0, 60)

function row({ scene, place, at, awayMs, ms, state, sent, declared, problems }: PointOutcome): string {
  const where = at === '' ? 'after the end' : `${place.moment} ${words(at)}`
  const { money, packets } = declared
  const isDeclared = money > 0n || packets > 0n
  const end = `${state} ${sent}${isDeclared ? `, declared: ${money} arrived and ${packets} packets were posted without being counted` : ''}`
  const verdict = problems.length === 0 ? 'clean' : `PROBLEM ${problems.join('; ')}`
  const times = `away ${(awayMs / 1000).toFixed(1)} s, settled ${(ms / 1000).toFixed(1)} s`
  return `${scene.name.padEnd(21)} ${String(place.statement).padStart(4)} ${where.padEnd(68)} ${end} · ${times} · ${verdict}`
}

function summary(scene: Scene, outcomes: readonly PointOutcome[]): string {
  const mine = outcomes.filter((outcome) => outcome.scene === scene)
  const declared = mine.filter(({ declared: { money, packets } }) => money > 0n || packets > 0n)
  const sum = declared.reduce((total, outcome) => total + outcome.declared.money, 0n)
  const settled = mine.map(({ ms }) => ms).sort((a, b) => a - b)
  const median = settled[Math.floor(settled.length / 2)] ?? 0
  const faulty = mine.filter(({ problems }) => problems.length > 0).length
  const reached = mine.filter(({ at }) => at !== '').length
  return `${scene.name.padEnd(21)} ${mine.length} points, ${reached} at their statement, ${mine.length - faulty} clean, ${declared.length} within the declared bound (${sum} in all), ${faulty} with problems; settled after ${(median / 1000).toFixed(1)} s (median), ${((settled.at(-1) ?? 0) / 1000).toFixed(1)} s (worst)`
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      points: { type: 'string', default: '100' },
      'at-once': { type: 'string', default: '4' },
      scene: { type: 'string', default: '' },
    },
  })
  const [total, atOnce] = [Number(values.points), Number(values['at-once'])]
  if (!Number.isSafeInteger(total) || !Number.isSafeInteger(atOnce) || total < 1 || atOnce < 1)
    throw new Error('--points and --at-once are numbers from 1')
  const server = await startTestServer()
  process.env[TEST_SERVER_VARIABLE] = server.connectionString
  const chosen = scenes.filter(({ name }) => name.includes(values.scene))
  const tasks = chosen.flatMap((scene) =>
    tasksOf(scene, scene.payee[0] === 'a' ? Math.ceil(total / 2) : total),
  )
  const outcomes: PointOutcome[] = []
  const failures: string[] = []
  const worker = async () => {
    for (let task = tasks.shift(); task; task = tasks.shift())
      try {
        outcomes.push(
          ...(await sweep(task.scene, task.points, {
            total: task.total,
            onOutcome: (outcome) => console.log(row(outcome)),
          })),
        )
      } catch (error) {
        failures.push(`${task.scene.name}: ${messageOf(error)}`)
        console.error(failures.at(-1))
      }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  if (!server.adopted) await server.stop()
  console.log('')
  for (const scene of chosen) console.log(summary(scene, outcomes))
  return failures.length > 0 || outcomes.some(({ problems }) => problems.length > 0) ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(messageOf(error))
  process.exitCode = 1
}
