// npm start ─▶ would the four services accept this environment? One line names every setting that they wouldn't.
import { EXIT_CONFIG, findFaults } from '../../packages/runtime/src/index.ts';
import { allSettings } from './all-settings.ts';

const faults = new Set(Object.values(allSettings).flatMap((settings) => findFaults(settings, process.env)));
if (faults.size > 0) {
  process.stderr.write(`${[...faults].join('; ')}\n`);
  process.exitCode = EXIT_CONFIG;
}
