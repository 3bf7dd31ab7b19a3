// Saves of documents whose version is one more than that of what they replace.
import type { ActorDocument, ActorSave } from '../src/index.ts';

export const saves = <S>(...documents: ActorDocument<S>[]): ActorSave<S>[] =>
  documents.map((document) => ({ document, replaces: document.version - 1 }));
