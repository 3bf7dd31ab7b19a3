import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import { createPortPicker } from './free-port.ts';

async function withTakenPort(use: (port: number) => Promise<void>) {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  await use((server.address() as AddressInfo).port);
  await new Promise((resolve) => server.close(resolve));
}

test('a default port that is taken is replaced, one that was set is an error that names the variable', () =>
  withTakenPort(async (port) => {
    const picker = createPortPicker();
    expect(await picker.pickSet('INGEST_PORT', port, {})).toMatchObject({ isReplaced: true });
    await expect(picker.pickSet('INGEST_PORT', 3101, { INGEST_PORT: String(port) })).rejects.toThrow(
      `INGEST_PORT=${port} is taken by another process`,
    );
  }));

test('a port is given out once', async () => {
  const picker = createPortPicker();
  const { port } = await picker.pick('MongoDB');
  await expect(picker.pickSet('INGEST_PORT', 3101, { INGEST_PORT: String(port) })).rejects.toThrow(
    `INGEST_PORT=${port} is taken by MongoDB`,
  );
});

test.each(['192.0.2.1', 'no-such-host.invalid', 'not an address'])(
  'a BIND_ADDRESS of %s is called wrong, the port is not called taken',
  async (bindAddress) => {
    const picker = createPortPicker({ bindAddress });
    const wrong = `BIND_ADDRESS=${bindAddress} is no address of this machine`;
    await expect(picker.pickSet('INGEST_PORT', 3101, { INGEST_PORT: '39871' })).rejects.toThrow(wrong);
    await expect(picker.pick('MongoDB')).rejects.toThrow(wrong);
  },
);
