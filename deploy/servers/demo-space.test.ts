import { describe, expect, test } from '@jest/globals';
import { besideReal } from './demo-space.ts';

const managementUrl = 'http://127.0.0.1:15672';
/** The clone's mark is left out, as it differs from machine to machine. */
const beside = (
  { rabbitmqUrl = 'amqp://h', mongodbUri = 'mongodb://h' }: { rabbitmqUrl?: string; mongodbUri?: string },
  isOnce = false,
) => {
  const servers = besideReal({ rabbitmqUrl, mongodbUri, managementUrl }, isOnce);
  const unmark = (text: string) => text.replace(/-[0-9a-f]{8}(?=$|\?)/, '-CLONE');
  return { vhost: unmark(servers.rabbitmqUrl), database: unmark(servers.mongodbUri) };
};

describe('the demo’s vhost', () => {
  test.each([
    ['amqp://guest:guest@127.0.0.1:5672', 'amqp://guest:guest@127.0.0.1:5672/wecom-agent-router-demo-CLONE'],
    ['amqps://u:p%2F@h/', 'amqps://u:p%2F@h/wecom-agent-router-demo-CLONE'],
    ['amqp://h/prod', 'amqp://h/prod-demo-CLONE'],
    ['amqp://h/a%2Fb?heartbeat=5', 'amqp://h/a%2Fb-demo-CLONE?heartbeat=5'],
  ])('beside %s is %s', (rabbitmqUrl, expected) => {
    expect(beside({ rabbitmqUrl }).vhost).toBe(expected);
  });
});

describe('the demo’s database', () => {
  test.each([
    ['mongodb://h:1', 'mongodb://h:1/wecom-agent-router-demo-CLONE'],
    ['mongodb://h/?replicaSet=rs0', 'mongodb://h/wecom-agent-router-demo-CLONE?replicaSet=rs0'],
    ['mongodb://h/prod?replicaSet=rs0', 'mongodb://h/prod-demo-CLONE?replicaSet=rs0'],
    ['mongodb://a:1,b:2/prod', 'mongodb://a:1,b:2/prod-demo-CLONE'],
    // The user stays where they are known.
    ['mongodb://u:p@h/prod', 'mongodb://u:p@h/prod-demo-CLONE?authSource=prod'],
    ['mongodb+srv://u:p@h/prod?w=1', 'mongodb+srv://u:p@h/prod-demo-CLONE?w=1&authSource=prod'],
    ['mongodb://u:p@h/prod?authSource=admin', 'mongodb://u:p@h/prod-demo-CLONE?authSource=admin'],
    ['mongodb://u:p@h/', 'mongodb://u:p@h/wecom-agent-router-demo-CLONE'],
  ])('beside %s is %s', (mongodbUri, expected) => {
    expect(beside({ mongodbUri }).database).toBe(expected);
  });

  test('keeps to the 63 bytes that a name may have', () => {
    const { mongodbUri } = besideReal(
      { rabbitmqUrl: 'amqp://h', mongodbUri: `mongodb://h/${'x'.repeat(63)}`, managementUrl },
      true,
    );
    expect(new URL(mongodbUri).pathname.slice(1)).toHaveLength(63);
  });
});

test('a demo that ends with its conversation has others than one that stays up', () => {
  expect(beside({}, true)).not.toEqual(beside({}));
  expect(beside({}, true)).toEqual({
    vhost: 'amqp://h/wecom-agent-router-demo-once-CLONE',
    database: 'mongodb://h/wecom-agent-router-demo-once-CLONE',
  });
});
