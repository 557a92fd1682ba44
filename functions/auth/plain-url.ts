/** No address of the protocols is longer; an index holds it, and so does a header. */
const LENGTH_MAX = 2048
/** Written out: the URL parser would mend what is missing, and an empty user name would go unnoticed. */
const PLAIN_URL = /^https?:\/\/[^/?#@\\]+(?:[/?][^#\\]*)?$/i
const VISIBLE_ASCII = /^[\x21-\x7e]+$/

/** What a client names and a person may be shown: http or https, as it will be read, without user or fragment. */
export const isPlainUrl = (text: string): boolean =>
  text.length <= LENGTH_MAX && VISIBLE_ASCII.test(text) && PLAIN_URL.test(text) && URL.canParse(text)
