// The message catalogue: what a WeChat user reads from us.
export { render, type TextKey, type TextParams, texts } from './texts.ts';
