/**
 * Interactions owns how a person comes to agree to a grant: the browser that is sent to the tenant's identity provider, what the
 * provider says, and the browser's way back to the client. A decision counts once and in time; it reaches the grant only through
 * the browser that started, which alone holds a session; and coming back again neither opens a grant again nor makes a reference
 * good twice. What the person is shown about the client comes from the grant, never from the browser.
 */
export { chooseInteraction, getInteractionDetails } from './choose.ts'
export { finishInteraction } from './finish-interaction.ts'
export { type ConsentAnswer, requestConsent } from './request-consent.ts'
export { sealedInteractionColumns } from './sealed-columns.ts'
export { startInteraction } from './start-interaction.ts'
export { deleteOldInteractions, deleteOldSessions } from './store.ts'
