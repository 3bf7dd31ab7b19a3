import { openStore } from '@pipeline/store';
import { createLogger } from '@pipeline/runtime';
const logger = createLogger({ service: 'test', level: 'silent' });
const all = [];
for (let i = 0; i < 5; i++) {
  const u = new URL(process.env.MONGODB_URI ?? ''); u.pathname = `/zz-${Math.random().toString(36).slice(2)}`;
  const t = performance.now();
  const store = await openStore({ uri: u.href, logger });
  all.push(Math.round(performance.now() - t));
  await store.close();
}
console.log(all.join(' '));
