// npm start ─▶ RabbitMQ and MongoDB in Docker: the compose file's two services, published on loopback only.

/** @param {import('./infrastructure.mjs').InfrastructureOptions} _options @returns {Promise<import('./infrastructure.mjs').Infrastructure | string>} */
export async function startInCompose(_options) {
  return 'not yet';
}
