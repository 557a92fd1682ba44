import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startFauxqs } from 'fauxqs'
import { initScript } from './init-script.ts'
import { brokerQueues, sqsAttributes } from './queues.ts'

const script = new URL('./init/ready.d/10-queues.sh', import.meta.url)
const sdk = fileURLToPath(import.meta.resolve('@aws-sdk/client-sqs'))

/** As much of the emulators' `awslocal` as the script uses. */
const AWSLOCAL = `#!${process.execPath}
const { SQSClient, CreateQueueCommand, GetQueueAttributesCommand } = await import(${JSON.stringify(sdk)})
const [service, command, ...rest] = process.argv.slice(2)
const option = (name) => rest[rest.indexOf('--' + name) + 1]
const client = new SQSClient({ useQueueUrlAsEndpoint: false })
if (service !== 'sqs' || option('output') !== 'text') throw new Error('not known here: ' + process.argv.join(' '))
if (command === 'create-queue') {
  const made = await client.send(
    new CreateQueueCommand({ QueueName: option('queue-name'), Attributes: JSON.parse(option('attributes')) }),
  )
  console.log(made.QueueUrl)
} else if (command === 'get-queue-attributes') {
  const found = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: option('queue-url'), AttributeNames: [option('attribute-names')] }),
  )
  console.log(found.Attributes.QueueArn)
} else throw new Error('not known here: ' + command)
`

/** Its output, or an error with what it wrote. */
const run = (env: NodeJS.ProcessEnv) =>
  new Promise<void>((resolve, reject) => {
    const child = spawn('/bin/sh', [fileURLToPath(script)], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}: ${errors}`))))
  })

test('the script is what queues.json says', () => {
  assert.equal(readFileSync(script, 'utf8'), initScript(), 'run npm run localstack:init')
})

test('the script makes the queues and their dead-letter queues with their attributes, and can be repeated', async () => {
  const server = await startFauxqs({ port: 0, logger: false })
  const folder = mkdtempSync(join(tmpdir(), 'upesi-awslocal-'))
  try {
    const stub = join(folder, 'awslocal')
    writeFileSync(stub, AWSLOCAL)
    chmodSync(stub, 0o755)
    // Without an extension it would not be taken for a module.
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    const env = {
      PATH: `${folder}:${process.env.PATH}`,
      AWS_ENDPOINT_URL: server.address,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    }
    await run(env)
    await run(env)
    for (const queue of brokerQueues) {
      const dead = server.inspectQueue(queue.deadLetter.name)
      const made = server.inspectQueue(queue.name)
      assert.ok(dead && made, queue.name)
      for (const [queueMade, expected] of [
        [dead, sqsAttributes(queue)],
        [made, sqsAttributes(queue, dead.arn)],
      ] as const)
        for (const [name, value] of Object.entries(expected))
          assert.equal(queueMade.attributes[name], value, `${queueMade.name} ${name}`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
    await server.stop()
  }
})
