// A headless Chromium, driven over pipes with the Chrome DevTools Protocol.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, start } from './programs.mjs';

const SWITCHES = [
  '--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-dev-shm-usage',
  '--disable-background-networking', '--hide-scrollbars', '--allow-file-access-from-files', '--remote-debugging-pipe',
]; // prettier-ignore
// Time for charts and fonts after the page says that everything is drawn.
const SETTLE_MS = 1500;

export class Browser {
  /** Starts it with its profile in the folder. */
  constructor(folder) {
    const profile = join(folder, 'profile');
    mkdirSync(profile, { recursive: true });
    const args = [...SWITCHES, `--user-data-dir=${profile}`, 'about:blank'];
    this.child = start(folder, 'chromium', 'chromium', args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] });
    this.last = 0;
    this.pending = new Map();
    let received = '';
    this.child.stdio[4].setEncoding('utf8').on('data', (chunk) => {
      const parts = (received + chunk).split('\0');
      received = parts.pop();
      parts.map((part) => JSON.parse(part)).forEach((message) => this.receive(message));
    });
  }

  receive({ id, result, error, method, params }) {
    if (method === 'Runtime.exceptionThrown') {
      console.error(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    }
    const pending = this.pending.get(id);
    this.pending.delete(id);
    if (error) pending?.reject(new Error(error.message));
    else pending?.resolve(result);
  }

  call(method, params = {}) {
    this.last += 1;
    const id = this.last;
    this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId: this.session })}\0`);
    return new Promise((resolve, reject) => this.pending.set(id, { resolve, reject }));
  }

  /** Opens a page in a new tab, which takes the place of the last one. */
  async open(url, width, height) {
    this.session = undefined;
    if (this.target) await this.call('Target.closeTarget', { targetId: this.target });
    this.target = (await this.call('Target.createTarget', { url: 'about:blank' })).targetId;
    this.session = (await this.call('Target.attachToTarget', { targetId: this.target, flatten: true })).sessionId;
    await this.call('Runtime.enable');
    await this.resize(width, height);
    await this.call('Page.navigate', { url });
  }

  resize(width, height) {
    return this.call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  }

  /** The value of an expression, after its promise. */
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** A PNG of the page. */
  async picture() {
    await sleep(SETTLE_MS);
    const { data } = await this.call('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(data, 'base64');
  }
}
