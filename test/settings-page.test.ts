// docs/settings.md has a row for every setting of every service; this holds the page and the schemas together.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { z } from 'zod';
import { allSettings } from '../deploy/commands/all-settings.ts';
import { ROOT } from './support/service-process.ts';

/** `| variable | default | services | meaning |`, as the schemas have it. */
function rows(): string[] {
  const found = new Map<string, { fallback: string; services: string[]; meaning: string }>();
  for (const [service, settings] of Object.entries(allSettings))
    for (const [name, rule] of Object.entries<z.ZodType>(settings.shape)) {
      const given = rule.safeParse(undefined);
      const fallback = !given.success ? '**required**' : defaultOf(rule);
      const row = found.get(name) ?? { fallback, services: [], meaning: rule.description ?? '' };
      row.services.push(service);
      found.set(name, row);
    }
  const all = Object.keys(allSettings).length;
  return [...found].map(([name, { fallback, services, meaning }]) => {
    const users = services.length === all ? 'all' : services.join(', ');
    return `| \`${name}\` | ${fallback} | ${users} | ${meaning} |`;
  });
}

/** A rule without one is optional; one that is turned into something else has its default inside. */
function defaultOf(rule: { def: object }): string {
  const { defaultValue, in: inner } = rule.def as { defaultValue?: unknown; in?: { def: object } };
  if (inner) return defaultOf(inner);
  return defaultValue === undefined || defaultValue === '' ? 'none' : String(defaultValue);
}

test('every setting of the services stands in docs/settings.md, with its default, its services and its meaning', () => {
  const page = readFileSync(join(ROOT, 'docs/settings.md'), 'utf8');
  const table = page
    .replaceAll(/ {2,}/g, ' ')
    .split('\n')
    .filter((line) => line.startsWith('| `') && line.split(' | ').length === 4);
  expect(table).toEqual(rows());
});
