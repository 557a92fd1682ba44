import type { FastifyInstance } from 'fastify'
import type { ApiDocument } from './document.ts'

/** The document changes with a release or with the configuration; neither is urgent to who reads it. */
const CACHE_CONTROL = 'public, max-age=300'

/** Computed at the first use: a cold start does not pay for what hardly anybody asks for. */
function once<T>(compute: () => T): () => T {
  let computed: { value: T } | undefined
  return () => {
    computed ??= { value: compute() }
    return computed.value
  }
}

/** `GET /openapi.json`, the specification as this server follows it, and `GET /docs`, the same for people. */
export function serveApiDocument(app: FastifyInstance, makeDocument: () => ApiDocument): void {
  const document = once(makeDocument)
  const json = once(() => JSON.stringify(document()))
  const page = once(async () => {
    const { PAGE_CONTENT_SECURITY_POLICY: policy, renderApiPage } = await import('./page.ts')
    return { policy, html: renderApiPage(document()) }
  })

  app.get('/openapi.json', async (_request, reply) =>
    reply.type('application/json; charset=utf-8').header('cache-control', CACHE_CONTROL).send(json()),
  )
  app.get('/docs', async (_request, reply) => {
    const { policy, html } = await page()
    return reply
      .type('text/html; charset=utf-8')
      .header('cache-control', CACHE_CONTROL)
      .header('content-security-policy', policy)
      .header('x-content-type-options', 'nosniff')
      .header('referrer-policy', 'no-referrer')
      .send(html)
  })
}
