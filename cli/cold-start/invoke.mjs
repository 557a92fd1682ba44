// A sandbox that starts for one invocation: node invoke.mjs <lambda module> <handler> <event as JSON>. Says on file descriptor 3 what
// it has used when the answer is there, and what it goes on to use until nothing is under way any more. It imports nothing of Node's:
// an import of `node:fs` alone would be counted with a tenth of what the function uses.
const [module, name, event] = process.argv.slice(2)
const { [name]: handler } = await import(module)
const answer = await handler(JSON.parse(event), {
  awsRequestId: 'bench',
  getRemainingTimeInMillis: () => 10_000,
})
const used = () => {
  const { user, system } = process.cpuUsage()
  return { cpuMs: (user + system) / 1000, wallMs: performance.now() }
}
const first = used()
await new Promise((resolve) => setTimeout(resolve, 200))
const last = used()
process.getBuiltinModule('node:fs').writeSync(
  3,
  JSON.stringify({
    ...first,
    laterCpuMs: last.cpuMs - first.cpuMs,
    status: answer.statusCode,
    body: answer.body,
  }),
)
process.exit(0)
