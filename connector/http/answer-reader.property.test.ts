import assert from 'node:assert/strict'
import { request } from 'node:http'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { answerCorpus } from '../fuzz/http-targets.ts'
import { mutate } from '../fuzz/mutate.ts'
import { createRandom, seedOf } from '../fuzz/random.ts'
import { createAnswerReader } from './answer-reader.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)
const INPUTS = 10_000

interface Read {
  status: number
  body: string
}

function readByUs(bytes: Buffer): Read | undefined {
  const reader = createAnswerReader(64 * 1024)
  try {
    const answer = reader.read(bytes) ?? reader.end()
    return answer && { status: answer.head.status, body: answer.body.toString('latin1') }
  } catch {
    return undefined
  }
}

/** What node:http makes of the same bytes and the end of the connection. */
function readByNode(bytes: Buffer): Promise<Read | undefined> {
  return new Promise((resolve) => {
    const socket = new Duplex({ read: () => undefined, write: (_bytes, _encoding, done) => done() })
    const sent = request({ method: 'POST', createConnection: () => socket })
    sent.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', () => resolve(undefined))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('latin1') }),
      )
    })
    sent.on('error', () => resolve(undefined))
    sent.on('upgrade', () => resolve(undefined))
    sent.end()
    setImmediate(() => {
      socket.push(bytes)
      setTimeout(() => socket.push(null), 2)
    })
  })
}

test('whatever answer is taken, node:http reads alike', async () => {
  let taken = 0
  for (let index = 0; index < INPUTS; index++) {
    const bytes = mutate(answerCorpus, createRandom(seedOf(seed, index)))
    const ours = readByUs(bytes)
    if (!ours) continue
    taken++
    const about = `seed ${seed}, input ${index} ${JSON.stringify(bytes.toString('latin1'))}`
    assert.deepEqual(ours, await readByNode(bytes), about)
  }
  assert.ok(taken > INPUTS / 100, `seed ${seed}: ${taken} taken`)
})
