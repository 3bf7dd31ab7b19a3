// npm run test:compose: the services are scaled in containers while users talk; see test/compose.
import '../../test/compose/run.ts';
