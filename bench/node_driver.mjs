// SPDX-License-Identifier: Apache-2.0
// The V8 rows: reads one JSON request per line, answers one JSON line. Everything is timed in
// here, so the pipe between the processes is not measured. Times are in seconds.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const now = () => Number(process.hrtime.bigint()) * 1e-9;
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1e-6;
};

// A sample: wall-clock and CPU seconds of one call of `work`. CPU time has microseconds' resolution
// and includes V8's own threads.
const sample = (work) => {
  const cpuBefore = cpu();
  const before = now();
  work();
  const wall = now() - before;
  return { wall, cpu: cpu() - cpuBefore };
};

let exports = null;

const callImports = {
  env: { host: (x) => x + 1, builtin: (x) => -x, native: (x) => x + 1, sin: Math.sin },
};

// Calls `body` n times and gives the seconds of one call. Each body is a loop of its own, so that
// V8 sees a monomorphic call site.
const perCall = (n, body) => {
  const before = now();
  body(n);
  return (now() - before) / n;
};

const loops = {
  nop: (f) => (n) => { for (let i = 0; i < n; i++) f(); },
  i32: (f) => (n) => { for (let i = 0; i < n; i++) f(1, 2); },
  i64: (f) => (n) => { for (let i = 0; i < n; i++) f(1n, 2n); },
  f64: (f) => (n) => { for (let i = 0; i < n; i++) f(1.5, 2.5); },
  six: (f) => (n) => { for (let i = 0; i < n; i++) f(1, 2n, 3.5, 4, 5n, 6.5); },
  three: (f) => (n) => { for (let i = 0; i < n; i++) f(7); },
  inside: (f) => (n) => { f(n); },
  trap: (f) => (n) => { for (let i = 0; i < n; i++) { try { f(); } catch { /* measured */ } } },
};

const handlers = {
  version: () => ({ node: process.versions.node, v8: process.versions.v8 }),
  load({ path, calls }) {
    const module = new WebAssembly.Module(readFileSync(path));
    exports = new WebAssembly.Instance(module, calls ? callImports : {}).exports;
    return {};
  },
  // init and run, only run timed.
  round({ n }) {
    exports.init(n);
    return sample(() => exports.run(n));
  },
  checksum() {
    const value = exports.checksum();
    return typeof value === "bigint" ? { i64: String(value) } : { f64: value };
  },
  compile({ path }) {
    const data = readFileSync(path);
    return sample(() => new WebAssembly.Module(data));
  },
  validate({ path }) {
    const data = readFileSync(path);
    return sample(() => WebAssembly.validate(data));
  },
  instantiate({ path, count }) {
    const module = new WebAssembly.Module(readFileSync(path));
    const total = sample(() => {
      for (let i = 0; i < count; i++) new WebAssembly.Instance(module);
    });
    return { wall: total.wall / count, cpu: total.cpu / count };
  },
  call({ name, loop, n }) {
    const body = loops[loop](exports[name]);
    perCall(n, body);
    return { seconds: perCall(n, body) };
  },
  memory({ size, write, n }) {
    const view = new Uint8Array(exports.memory.buffer);
    const other = new Uint8Array(size);
    const body = write
      ? (k) => { for (let i = 0; i < k; i++) view.set(other, 64); }
      : (k) => { for (let i = 0; i < k; i++) other.set(view.subarray(64, 64 + size)); };
    perCall(n, body);
    return { seconds: perCall(n, body) };
  },
  // Compiles from a stream that delivers `rate` bytes per second; the time after the last byte.
  async stream({ path, rate, chunk }) {
    const bytes = readFileSync(path);
    let at = 0;
    let last = 0;
    const start = now();
    const source = new ReadableStream({
      async pull(controller) {
        const end = Math.min(at + chunk, bytes.length);
        const due = rate ? start + end / rate - now() : 0;
        if (due > 0) await new Promise((resolve) => setTimeout(resolve, due * 1000));
        controller.enqueue(bytes.subarray(at, end));
        at = end;
        if (at === bytes.length) {
          last = rate ? now() : start;
          controller.close();
        }
      },
    });
    const response = new Response(source, { headers: { "Content-Type": "application/wasm" } });
    await WebAssembly.compileStreaming(response);
    const done = now();
    return { total: done - start, after: done - last };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = await handlers[request.op](request);
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
