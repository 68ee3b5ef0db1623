// SPDX-License-Identifier: Apache-2.0
// Reads one JSON request per line, answers one JSON line. All is timed in here, in seconds.
import { closeSync, openSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const now = () => Number(process.hrtime.bigint()) * 1e-9;

const timed = (work) => {
  const start = now();
  work();
  return { seconds: now() - start };
};

let job = null;
let module = null;
let WASI = null;
let call = null;
let repeat = null;

const zero = (type) => (type === "i64" ? 0n : /^[if]/.test(type) ? 0 : null);

const makers = {
  function: ({ results }) => {
    const values = results.map(zero);
    return () => (values.length === 1 ? values[0] : values);
  },
  memory: ({ initial, maximum, shared }) =>
    new WebAssembly.Memory({ initial, maximum: maximum ?? undefined, shared }),
  table: ({ element, initial, maximum }) =>
    new WebAssembly.Table({
      element: element === "funcref" ? "anyfunc" : element,
      initial,
      maximum: maximum ?? undefined,
    }),
  global: ({ value, mutable }) => new WebAssembly.Global({ value, mutable }, zero(value)),
};

// A WASI object for one run, and how to let go of its files.
const world = (output) => {
  if (!job.wasi) return { imports: {}, close() {} };
  const files = [openSync(job.stdin, "r"), openSync(output, "w"), openSync("/dev/null", "w")];
  const wasi = new WASI({
    version: job.wasi,
    args: job.args,
    env: job.env,
    preopens: job.dirs,
    stdin: files[0],
    stdout: files[1],
    stderr: files[2],
    returnOnExit: true,
  });
  return { wasi, imports: wasi.getImportObject(), close: () => files.forEach(closeSync) };
};

const instantiate = (given) => {
  const imports = { ...given };
  for (const row of job.imports) {
    const fields = (imports[row.module] = { ...imports[row.module] });
    fields[row.name] ??= makers[row.kind](row);
  }
  return new WebAssembly.Instance(module, imports);
};

const handlers = {
  version: () => ({ node: process.versions.node, v8: process.versions.v8 }),
  validate({ path }) {
    const data = readFileSync(path);
    return timed(() => WebAssembly.validate(data));
  },
  compile({ path }) {
    const data = readFileSync(path);
    return timed(() => new WebAssembly.Module(data));
  },
  // The time after the last byte of a stream that delivers `rate` bytes per second.
  async stream({ path, rate, chunk }) {
    const bytes = readFileSync(path);
    const start = now();
    let at = 0;
    let last = start;
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
    const headers = { "Content-Type": "application/wasm" };
    await WebAssembly.compileStreaming(new Response(source, { headers }));
    return { seconds: now() - last };
  },
  async load(request) {
    job = request;
    module = new WebAssembly.Module(readFileSync(job.path));
    if (job.wasi) ({ WASI } = await import("node:wasi"));
    return {};
  },
  bind({ name, arguments: rows, repeat: hex }) {
    const { wasi, imports } = world("/dev/null");
    const instance = instantiate(imports);
    if (wasi) wasi.initialize({ exports: { ...instance.exports, _start: undefined } });
    else if (instance.exports._initialize) instance.exports._initialize();
    const f = instance.exports[name];
    const read = { bigint: BigInt, number: Number, null: () => null };
    const values = rows.map(({ kind, text }) => read[kind](text));
    call = (n) => { for (let i = 0; i < n; i++) f(...values); };
    call.once = () => f(...values);
    const loop = new WebAssembly.Module(Buffer.from(hex, "hex"));
    repeat = new WebAssembly.Instance(loop, { "": { f } }).exports.repeat;
    return {};
  },
  instantiate({ count }) {
    let total = 0;
    for (let i = 0; i < count; i++) {
      const { imports, close } = world("/dev/null");
      total += timed(() => instantiate(imports)).seconds;
      close();
    }
    return { seconds: total / count };
  },
  result() {
    const result = call.once();
    const values = result === undefined ? [] : Array.isArray(result) ? result : [result];
    const text = (value) => (value === null ? null : Object.is(value, -0) ? "-0" : String(value));
    return { values: values.map(text) };
  },
  call: ({ count }) => ({ seconds: timed(() => call(count)).seconds / count }),
  repeat: ({ count }) => ({ seconds: timed(() => repeat(count)).seconds / count }),
  main({ output }) {
    const { wasi, imports, close } = world(output);
    const instance = instantiate(imports);
    let code;
    const { seconds } = timed(() => { code = wasi.start(instance); });
    close();
    return { seconds, code: code ?? 0 };
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
