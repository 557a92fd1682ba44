import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import { test } from 'node:test'
import { setImmediate as immediate } from 'node:timers/promises'
import { silentLogger } from '../../shared/platform/index.ts'
import { createDrainingServer, listen, text } from './draining-server.ts'

/** Far more than systems hold for a client that does not read. */
const LARGE = 'x'.repeat(32 * 1024 * 1024)

const startUnread = async () => {
  const draining = createDrainingServer({ log: silentLogger }, async (_request, response) =>
    text(response, 200, LARGE),
  )
  const accepted = once(draining.server, 'connection') as Promise<[Socket]>
  const client = connect(await listen(draining.server, 0), 'localhost').on('error', () => undefined)
  client.pause()
  const [inside] = await accepted
  client.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
  while (inside.writableLength === 0) await immediate()
  return { ...draining, client }
}

test('an answer that is being written when it drains is written to its end', async () => {
  const { client, drain } = await startUnread()
  const drained = drain(60_000)
  client.resume()
  assert.ok((await textOf(client)).endsWith(`\r\n\r\n${LARGE}`))
  await drained
})

test('who does not read its answer is not waited for any longer than for one that is made', async () => {
  const { client, drain } = await startUnread()
  await drain(200)
  client.destroy()
})
