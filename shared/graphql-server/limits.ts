import {
  type ASTVisitor,
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from 'graphql'

/** What one request may ask for (contracts/admin/admin-api.md §1). */
export const limits = {
  depthMax: 10,
  costMax: 5000,
  objectCost: 2,
  scalarCost: 1,
  depthFactor: 1.5,
  aliasesMax: 15,
  directivesMax: 50,
  tokensMax: 1000,
} as const

interface Measure {
  depth: number
  cost: number
}

const refuse = (context: ValidationContext, message: string) =>
  context.reportError(new GraphQLError(message, { extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } }))

function fragmentsOf(document: DocumentNode): Map<string, FragmentDefinitionNode> {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition)
  return fragments
}

/**
 * Depth and cost of a selection: each level below costs 1.5 times as much. Introspection is exempt. A fragment that spreads
 * itself is another rule's error; here it only must not loop, so a fragment on the path counts nothing. Measuring stops once
 * the limit is passed, which keeps fragment bombs cheap.
 */
function measure(
  selectionSet: SelectionSetNode,
  fragments: Map<string, FragmentDefinitionNode>,
  level: number,
  budget: { visits: number },
  path: readonly string[],
): Measure {
  let depth = 0
  let cost = 0
  for (const selection of selectionSet.selections) {
    if (budget.visits-- <= 0) return { depth, cost: limits.costMax + 1 }
    if (selection.kind === Kind.FIELD) {
      if (selection.name.value.startsWith('__')) continue
      const own = selection.selectionSet ? limits.objectCost : limits.scalarCost
      const below = selection.selectionSet
        ? measure(selection.selectionSet, fragments, level + 1, budget, path)
        : { depth: 0, cost: 0 }
      depth = Math.max(depth, 1 + below.depth)
      cost += own + limits.depthFactor * below.cost
      continue
    }
    const name = selection.kind === Kind.FRAGMENT_SPREAD ? selection.name.value : undefined
    if (name !== undefined && path.includes(name)) continue
    const inner =
      selection.kind === Kind.INLINE_FRAGMENT
        ? selection.selectionSet
        : fragments.get(name ?? '')?.selectionSet
    if (!inner) continue
    const below = measure(inner, fragments, level, budget, name === undefined ? path : [...path, name])
    depth = Math.max(depth, below.depth)
    cost += below.cost
  }
  return { depth, cost }
}

const depthAndCost: ValidationRule = (context: ValidationContext): ASTVisitor => ({
  OperationDefinition(node) {
    const fragments = fragmentsOf(context.getDocument())
    const { depth, cost } = measure(node.selectionSet, fragments, 0, { visits: limits.costMax }, [])
    if (depth > limits.depthMax)
      refuse(context, `Syntax Error: Query depth limit of ${limits.depthMax} exceeded, found ${depth}.`)
    if (cost > limits.costMax)
      refuse(context, `Syntax Error: Query Cost limit of ${limits.costMax} exceeded.`)
  },
})

const aliasesAndDirectives: ValidationRule = (context: ValidationContext): ASTVisitor => {
  let aliases = 0
  let directives = 0
  return {
    Field(node) {
      if (node.alias && ++aliases === limits.aliasesMax + 1)
        refuse(context, `Syntax Error: Aliases limit of ${limits.aliasesMax} exceeded.`)
    },
    Directive() {
      if (++directives === limits.directivesMax + 1)
        refuse(context, `Syntax Error: Directives limit of ${limits.directivesMax} exceeded.`)
    },
  }
}

export const limitRules: readonly ValidationRule[] = [depthAndCost, aliasesAndDirectives]
