import { hash } from 'node:crypto'

/** All of the pages' looks. Nothing is loaded from elsewhere, and no script runs. */
export const STYLE = `
:root { color-scheme: light dark; --page: #f1f4f3; --card: #fff; --text: #16211d; --soft: #56655f; --line: #d9e0dd;
  --strong: #0b6b4f; --on-strong: #fff; --warn: #8a4b00; --warn-page: #fff4e0; }
@media (prefers-color-scheme: dark) { :root { --page: #101614; --card: #19211e; --text: #e8efec; --soft: #9fb0a9;
  --line: #313c38; --strong: #4cc79b; --on-strong: #06251b; --warn: #ffc46b; --warn-page: #33270f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 32rem; margin: 0 auto; padding: 1rem; }
@media (min-width: 40rem) { main { padding-top: 8vh; } }
article { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.5rem; }
.bank { color: var(--soft); font-size: .875rem; margin: 0 0 1rem; }
h1 { font-size: 1.375rem; line-height: 1.3; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
.who, .next { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
.next { margin-top: 1rem; }
.address { font-family: ui-monospace, monospace; font-size: .875em; overflow-wrap: anywhere; }
ul { list-style: none; margin: 0; padding: 0; }
li { padding: .75rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
li:last-child { border-bottom: 1px solid var(--line); }
.warning { background: var(--warn-page); color: var(--warn); border-radius: .5rem; padding: .75rem 1rem;
  margin: 1rem 0 0; overflow-wrap: anywhere; }
.choice { display: flex; gap: .75rem; margin-top: 1.5rem; }
button { flex: 1; min-height: 3rem; font: inherit; font-weight: 600; border-radius: .5rem; cursor: pointer;
  border: 1px solid var(--line); background: transparent; color: inherit; }
button.accept { background: var(--strong); border-color: var(--strong); color: var(--on-strong); }
button:focus-visible, a:focus-visible { outline: 3px solid var(--strong); outline-offset: 2px; }
a { color: var(--strong); }
`

/**
 * No scripts, no frames, nothing from elsewhere. There is no `form-action`: browsers hold the redirects after the form to it too,
 * and those lead to the authorization server and on to wherever the client wants its customer back.
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', STYLE, 'base64')}'`,
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')
