// Where a text may be cut without tearing apart what a reader sees as one character.

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });

/**
 * After one of these no earlier character matters to the next boundary (ASCII but CR, CJK ideographs, kana, CJK
 * punctuation without its combining marks), so segmenting may start here instead of at the start of the text.
 */
function isSafeStart(codeUnit: number): boolean {
  if (codeUnit < 0x80) return codeUnit !== 0x0d;
  if (codeUnit >= 0x3041 && codeUnit <= 0x3096) return true;
  return (codeUnit >= 0x4e00 && codeUnit <= 0x9fff) || (codeUnit >= 0x3001 && codeUnit <= 0x3020);
}

/**
 * The last grapheme boundary at or before `position` (an index in UTF-16 units; the text's start and end are
 * boundaries). Looks only at the surroundings of `position`.
 */
export function graphemeBoundaryAtOrBefore(text: string, position: number): number {
  let found = Math.min(position, text.length);
  while (found > 0 && found < text.length) {
    let safe = found - 1;
    while (safe > 0 && !isSafeStart(text.charCodeAt(safe))) safe--;
    // Two units behind the position are the code point that decides.
    const start = safe + (segmenter.segment(text.slice(safe, found + 2)).containing(found - safe)?.index ?? 0);
    if (start === found || start > safe) return start;
    // The grapheme reaches back to the safe character or, behind a prepended mark, beyond it.
    found = safe;
  }
  return found;
}
