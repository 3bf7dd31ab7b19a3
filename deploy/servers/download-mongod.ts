// install-mongodb.ts ─▶ mongodb-memory-server's downloader. Run by itself: download-mongod.ts size | download FOLDER
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root } from '../processes/paths.ts';

const [task, folder] = process.argv.slice(2);
const require = createRequire(join(root, 'package.json'));

try {
  const output = task === 'size' ? await askSize() : await download();
  process.stdout.write(`${output}\n`);
} catch (error) {
  const { message, cause } = error as Error;
  process.stderr.write(`${cause instanceof Error ? `${message}: ${cause.message}` : message}\n`);
  process.exitCode = 1;
}

/** Bytes of the archive; asked first, since the downloader itself waits for minutes when its host is out of reach. */
async function askSize() {
  const { DryMongoBinary } = require('mongodb-memory-server-core');
  const { MongoBinaryDownloadUrl } = require('mongodb-memory-server-core/lib/util/MongoBinaryDownloadUrl');
  const url = await new MongoBinaryDownloadUrl(await DryMongoBinary.generateOptions()).getDownloadUrl();
  const response = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(3500) });
  if (!response.ok) throw new Error(`the download host answers ${response.status}`);
  return response.headers.get('content-length');
}

async function download() {
  const { MongoBinary } = require('mongodb-memory-server-core');
  return MongoBinary.getPath({ downloadDir: folder });
}
