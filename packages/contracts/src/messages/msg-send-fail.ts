// WeCom tells that a message it had accepted was not delivered. From ingest to the sender's mailbox.
import { z } from 'zod';
import { messageKind } from '../envelope.ts';

export const msgSendFail = messageKind(
  'msg_send_fail',
  z.object({
    /** The event's own msgid. */
    msgId: z.string().min(1),
    /** The msgid that our send_msg carried. */
    failMsgid: z.string().min(1),
    /** WeCom's reason: 0, 4, 5, 6 and 11 pass with the user's next message. */
    failType: z.number().int(),
  }),
);
export type MsgSendFail = z.infer<typeof msgSendFail.schema>;
