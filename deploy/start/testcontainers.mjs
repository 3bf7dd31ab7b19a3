// npm test ─▶ RabbitMQ and MongoDB in Docker, by Testcontainers.

/** @param {import('./infrastructure.mjs').InfrastructureOptions} _options @returns {Promise<import('./infrastructure.mjs').Infrastructure | string>} */
export async function startInTestcontainers(_options) {
  return 'not yet';
}
