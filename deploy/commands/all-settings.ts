// The settings of all four services: checked by npm start before anything is started, documented in docs/settings.md.
import { binderSettings } from '../../services/binder/src/config.ts';
import { ingestSettings } from '../../services/ingest/src/config.ts';
import { routerSettings } from '../../services/router/src/config.ts';
import { senderSettings } from '../../services/sender/src/config.ts';

export const allSettings = {
  ingest: ingestSettings,
  binder: binderSettings,
  router: routerSettings,
  sender: senderSettings,
};
