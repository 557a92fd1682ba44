// The dependency rule, and proof that it looked at something: dependency-cruiser exits 0 when it sees no modules at all.
import { cruise } from 'dependency-cruiser'
import extractDepcruiseOptions from 'dependency-cruiser/config-utl/extract-depcruise-options'
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config'

const MODULES_MIN = 20

const options = await extractDepcruiseOptions('./.dependency-cruiser.cjs')
const result = await cruise(
  ['shared', 'functions', 'connector', 'cli', 'examples', 'infra/helm'],
  options,
  {},
  {
    tsConfig: extractTSConfig('./tsconfig.json'),
  },
)
if (typeof result.output === 'string') throw new Error('expected the result as an object')
const { violations, totalCruised, totalDependenciesCruised } = result.output.summary
for (const violation of violations) {
  const cycle = violation.cycle?.map((step) => step.name).join(' → ')
  console.error(`${violation.rule.name}: ${violation.from} → ${cycle ?? violation.to}`)
}
console.log(
  `dependency rule: ${totalCruised} modules, ${totalDependenciesCruised ?? 0} dependencies, ${violations.length} violations`,
)
if (totalCruised < MODULES_MIN) {
  console.error(`expected at least ${MODULES_MIN} modules; the rule saw nothing and proves nothing`)
  process.exit(1)
}
if (violations.length > 0) process.exit(1)
