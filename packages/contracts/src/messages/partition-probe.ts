// A partition's owner to itself: comes back if the broker still delivers. Not for any user.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';

export const partitionProbe = messageKind('mailbox.probe', z.object({}));
