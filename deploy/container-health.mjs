// Docker ─▶ a container of ours: is it ready? Run in it as: container-health.mjs PORT [PATH]
const [port, path = '/readyz'] = process.argv.slice(2);
const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(3500) }).catch(
  () => undefined,
);
if (response && !response.ok) process.stdout.write(await response.text()); // `docker inspect` shows it
process.exitCode = response?.ok ? 0 : 1;
