export type Segment = { kind: 'text' | 'code'; text: string; language: string };
export function splitFences(text: string): Segment[];
export function describeBody(msgtype: string, body: unknown): { kind: 'text' | 'image' | 'other'; text: string };
export function clockTime(ms: number): string;
export function duration(ms: number): string;
export function refusalText(errcode: number): string;
export function failureText(failType: number): string;
