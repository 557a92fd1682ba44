import { type ASTVisitor, GraphQLError, type ValidationContext } from 'graphql'

/** Postgres takes no U+0000. In variables the reader of the body has refused it; here it is an escape within the document. */
export const storableTexts = (context: ValidationContext): ASTVisitor => ({
  StringValue(node) {
    if (node.value.includes('\0'))
      context.reportError(
        new GraphQLError('text that is no Unicode', { nodes: node, extensions: { code: 'BAD_USER_INPUT' } }),
      )
  },
})
