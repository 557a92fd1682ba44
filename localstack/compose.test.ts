import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import packageJson from '../package.json' with { type: 'json' }

interface Service {
  profiles?: string[]
  image: string
  ports: string[]
  volumes?: string[]
  environment?: Record<string, string>
  healthcheck: { test: string[]; interval: string; retries: number }
}

const compose = parse(readFileSync(new URL('docker-compose.yml', import.meta.url), 'utf8'), {
  merge: true,
}) as { services: Record<string, Service>; volumes: Record<string, unknown> }
const services = Object.entries(compose.services)

test('what a node stands on is there, each with a health check and an image that can be chosen', () => {
  assert.deepEqual(Object.keys(compose.services).sort(), [
    'aws',
    'floci',
    'postgres',
    'tigerbeetle',
    'valkey',
  ])
  for (const [name, { image, healthcheck }] of services) {
    assert.match(image, /^\$\{[A-Z_]+_IMAGE:-[a-z0-9./-]+:[a-z0-9.-]+\}$/, name)
    assert.doesNotMatch(image, /:latest\}$/, name)
    assert.ok(healthcheck.test.length >= 2 && healthcheck.retries > 0, name)
  }
})

test('nothing listens but on loopback, and no two that run together at one port', () => {
  const taken = new Map<string, string[]>()
  for (const [name, { ports, profiles }] of services)
    for (const port of ports) {
      assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name)
      taken.set(port, [...(taken.get(port) ?? []), profiles?.[0] ?? 'always'])
    }
  for (const [port, profiles] of taken) assert.equal(new Set(profiles).size, profiles.length, port)
  assert.deepEqual(taken.get('127.0.0.1:4566:4566'), ['localstack', 'floci'])
})

test('the emulator is ready when its queues are there, and not as soon as it answers', () => {
  const [how, command = ''] = compose.services.aws?.healthcheck.test ?? []
  assert.equal(how, 'CMD-SHELL')
  const folder = mkdtempSync(join(tmpdir(), 'upesi-compose-'))
  try {
    const isReady = (completed: boolean, state: string) => {
      const answer = { completed, scripts: [{ name: '10-queues.sh', stage: 'READY', state }] }
      writeFileSync(join(folder, 'curl'), `#!/bin/sh\necho '${JSON.stringify(answer)}'\n`, { mode: 0o755 })
      return (
        spawnSync('/bin/sh', ['-c', command], { env: { PATH: `${folder}:${process.env.PATH}` } }).status === 0
      )
    }
    assert.equal(isReady(false, 'RUNNING'), false)
    assert.equal(isReady(true, 'ERROR'), false)
    assert.equal(isReady(true, 'SUCCESSFUL'), true)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('files that are mounted exist, and volumes are declared', () => {
  for (const [name, { volumes = [] }] of services)
    for (const volume of volumes) {
      const [source = ''] = volume.split(':')
      if (source.startsWith('./'))
        assert.ok(existsSync(new URL(source, import.meta.url)), `${name}: ${source}`)
      else assert.ok(source in compose.volumes, `${name}: ${source}`)
    }
})

test('the emulator gets its token, TigerBeetle has the version of its client, and a profile is chosen by default', () => {
  assert.match(
    compose.services.aws?.environment?.LOCALSTACK_AUTH_TOKEN ?? '',
    /^\$\{LOCALSTACK_AUTH_TOKEN:-\}$/,
  )
  assert.ok(compose.services.tigerbeetle?.image.includes(`:${packageJson.dependencies['tigerbeetle-node']}}`))
  assert.equal(readFileSync(new URL('.env', import.meta.url), 'utf8').trim(), 'COMPOSE_PROFILES=localstack')
})

test('cdklocal.sh never talks to AWS itself', () => {
  const script = fileURLToPath(new URL('cdklocal.sh', import.meta.url))
  const run = spawnSync('/bin/sh', [script, 'ls'], {
    env: { PATH: process.env.PATH, AWS_ENDPOINT_URL: 'https://sqs.eu-west-1.amazonaws.com' },
    encoding: 'utf8',
  })
  assert.equal(run.status, 1)
  assert.match(run.stderr, /AWS_ENDPOINT_URL is AWS itself/)
})
