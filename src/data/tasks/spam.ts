import { wrongAnswerRate } from '../../metrics/error-rates.js'
import { splitWords } from '../../text/symbols.js'
import { mapPreprocessor } from '../preprocessors/seqio/map-preprocessor.js'
import { spamSource } from '../sources/npm/spam-assassin.js'
import { definedKind } from './defined-kind.js'
import { t5Features } from './t5-features.js'

/** How much of a message's text is read: about 250 tokens. */
const MOST_CHARACTERS = 800

/**
 * Spam or ham, from the subject and the beginning of an e-mail (SpamAssassin's public corpus). The other headers are
 * left out: they hold traces of the filters that the messages went through.
 */
export const spam = definedKind({
  name: 'spam',
  source: spamSource,
  splitBy: ({ text }) => text as string,
  preprocessors: [
    mapPreprocessor('subjectAndBody', ({ text, label }) => ({
      inputs: subjectAndBody(text as string),
      targets: label,
    })),
  ],
  features: t5Features,
  units: { one: 'message', many: 'messages' },
  metrics: [wrongAnswerRate('wrong labels', splitWords)],
  suggestions: {
    inputs: ['Subject: You have won! Click here to claim your prize', 'Subject: Re: patch for the build'],
  },
})

/** `Subject: ...` and the text after the headers, with white space made one space, cut to `MOST_CHARACTERS`. */
export function subjectAndBody(message: string): string {
  const end = /\r?\n\r?\n/.exec(message)
  const headers = end ? message.slice(0, end.index) : message
  const body = end ? message.slice(end.index) : ''
  const subject = /^subject:(.*(?:\r?\n[ \t].*)*)/im.exec(headers)?.[1] ?? ''
  return `Subject: ${subject} ${body.slice(0, 4 * MOST_CHARACTERS)}`.replaceAll(/\s+/g, ' ').slice(0, MOST_CHARACTERS)
}
