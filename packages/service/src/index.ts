export { createService, type OpenedParts, type ServiceParts } from './create-service.ts';
export { prepareWecom } from './prepare-wecom.ts';
