import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const has = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
const isRoot = process.getuid?.() === 0
const isLinux = process.platform === 'linux'

/** Root in a container may lack it, and without it nothing can be run in an image. */
const mayMount = () =>
  spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' }).status === 0

/**
 * Why images are not built here, if they are not. With CI=true what Debian has must be there; what could not be installed says so in
 * NO_BUILDAH (.ci/run).
 */
export const withoutBuildah: string | false = (() => {
  if (!isLinux) return 'images are built on Linux'
  if (!isRoot) return 'without root there is no storage for images'
  if (!mayMount()) return 'root may not mount here'
  if (has('buildah')) return false
  const { CI, NO_BUILDAH: reason } = process.env
  return CI === 'true' && has('apt-get') && !reason ? false : (reason ?? 'no buildah on the PATH')
})()

export interface Store {
  /** Builds, and returns the image's name. */
  build(input: {
    file: string
    context: string
    target?: string
    args?: Record<string, string>
    tag: string
  }): Promise<string>
  /** The configuration of an image, as Docker has it. */
  inspect(image: string): ImageConfig
  /** A container of the image, with its files under `root`. */
  container(image: string): { id: string; root: string }
  /** Runs a command in a container as the image's user, on the machine's network. */
  run(
    container: string,
    command: readonly string[],
    environment?: Record<string, string>,
  ): ReturnType<typeof spawn>
  output(container: string, command: readonly string[], environment?: Record<string, string>): Promise<string>
  remove(): void
}

export interface ImageConfig {
  User: string
  Cmd: string[]
  Env: string[]
  WorkingDir: string
  Entrypoint?: string[] | null
  Labels: Record<string, string>
  Healthcheck?: { Test: string[] }
}

/** Images and containers in a folder of their own: no daemon, no registry, nothing left. */
export function createStore(): Store {
  const folder = mkdtempSync(join(tmpdir(), 'upesi-images-'))
  const storage = [
    '--root',
    join(folder, 'root'),
    '--runroot',
    join(folder, 'run'),
    '--storage-driver',
    'vfs',
  ]
  const buildah = (...args: readonly string[]) =>
    execFileSync('buildah', [...storage, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 26,
    })
  const runArgs = (container: string, command: readonly string[], environment: Record<string, string>) => [
    ...storage,
    'run',
    '--isolation',
    'chroot',
    ...Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    container,
    '--',
    ...command,
  ]
  return {
    async build({ file, context, target, args = {}, tag }) {
      await promisify(execFile)(
        'buildah',
        [
          ...storage,
          'bud',
          '--quiet',
          '--isolation',
          'chroot',
          // The other format has no place for a health check.
          '--format',
          'docker',
          ...(target === undefined ? [] : ['--target', target]),
          ...Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
          '--tag',
          tag,
          '--file',
          file,
          context,
        ],
        { maxBuffer: 1 << 26 },
      )
      return tag
    },
    inspect(image) {
      const { Docker } = JSON.parse(buildah('inspect', '--type', 'image', image)) as {
        Docker: { config: ImageConfig }
      }
      return Docker.config
    },
    container(image) {
      const id = buildah('from', '--pull-never', image).trim()
      return { id, root: buildah('mount', id).trim() }
    },
    run: (container, command, environment = {}) =>
      spawn('buildah', runArgs(container, command, environment), {
        stdio: ['ignore', 'pipe', 'pipe'],
        // A group of its own, which can be ended whole.
        detached: true,
      }),
    async output(container, command, environment = {}) {
      const { stdout } = await promisify(execFile)('buildah', runArgs(container, command, environment))
      return stdout
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/**
 * An image with this machine's Node, the libraries that it needs and nothing else: no shell, no package manager. What stands on
 * it stands on node:24-slim and on distroless too.
 */
export async function buildBase(store: Store, tag: string): Promise<string> {
  const context = mkdtempSync(join(tmpdir(), 'upesi-base-'))
  try {
    const put = (from: string, to = from) => {
      mkdirSync(join(context, 'files', dirname(to)), { recursive: true })
      copyFileSync(from, join(context, 'files', to))
    }
    put(process.execPath, '/usr/local/bin/node')
    const libraries = execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
    for (const library of libraries) put(library)
    mkdirSync(join(context, 'files/tmp'), { mode: 0o777 })
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY files /\n')
    return await store.build({ file: join(context, 'Dockerfile'), context, tag })
  } finally {
    rmSync(context, { recursive: true, force: true })
  }
}

/** Of a process: who it runs as. */
export const userOf = (pid: number): number =>
  Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
