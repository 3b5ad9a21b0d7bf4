// Starts programs with their output in a folder, and ends them.

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// The kernel gives none of these ports to clients (net.ipv4.ip_local_port_range starts at 32768).
const FIRST_PORT = 10_240;
const PORTS = 22_528;
// Prometheus writes its data at its end.
const END_MS = 10_000;

/** The folder of these files. */
export const HERE = fileURLToPath(new URL('.', import.meta.url));

const running = new Set();

/** A TCP port of the loopback address on which nothing listens. */
export async function freePort() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    const isFree = await new Promise((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
  throw new Error('found no free port on 127.0.0.1');
}

/** Starts a program. Its output goes to `NAME.log` in the folder. */
export function start(folder, name, command, args, options = {}) {
  const child = spawn(command, args.map(String), { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const log = createWriteStream(join(folder, `${name}.log`), { flags: 'a' });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  child.ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(error));
    child.once('exit', (code, signal) => resolve(new Error(`ended with ${code ?? signal}`)));
  });
  child.ended.then((error) => {
    running.delete(child);
    if (!child.isExpected) console.error(`${name} ${error.message}; its output is in ${folder}/${name}.log`);
  });
  running.add(child);
  return child;
}

/** Ends a program and waits for its end. */
export async function stop(child) {
  child.isExpected = true;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
  await child.ended;
  clearTimeout(timer);
}

/** Ends all programs. */
export async function stopAll() {
  await Promise.all([...running].map(stop));
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `ready` until it returns something true, for at most `seconds`. */
export async function eventually(what, seconds, ready) {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    try {
      const result = await ready();
      if (result) return result;
    } catch {
      // Not reachable yet.
    }
    await sleep(200);
  }
  throw new Error(`waited ${seconds} s for ${what}`);
}
