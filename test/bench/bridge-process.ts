// Bench: the agents' bridge in a process of its own.
import { startBridgeSimulator } from '../simulators/bridge/start-bridge-simulator.ts';
import { answerCommands } from './child.ts';
import type { BridgeCommand } from './turns.ts';

let origins: string[] = [];
let next = 0;
const bridge = await startBridgeSimulator({
  readsPrompts: false,
  behaviour: { delayMs: 0 },
  callbackTo(url) {
    const origin = origins[next++ % (origins.length || 1)];
    return origin === undefined ? url : origin + url.slice(url.indexOf('/', 'http://'.length));
  },
});

answerCommands<BridgeCommand>({ url: bridge.url }, async (command) => {
  origins = command.origins;
});
