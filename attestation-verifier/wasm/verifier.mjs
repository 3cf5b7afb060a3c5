// The verifier for Node and browsers: bytes of the module in, a function from request to verdict out. What a request
// holds is in src/request.rs; base64 and hexadecimal as there.

/** Compiles the module once. `wasm` is its bytes. */
export async function load(wasm) {
  const { instance } = await WebAssembly.instantiate(wasm, {});
  const { memory, input, verify, output } = instance.exports;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { fatal: true });

  /** The verdict as the text that the command prints with --json. Throws if there is none. */
  return function verdict(request) {
    const bytes = encoder.encode(JSON.stringify(request));
    const address = input(bytes.length);
    if (address === 0) throw new Error("the request is longer than 16 MiB");
    new Uint8Array(memory.buffer, address, bytes.length).set(bytes);
    const length = verify();
    const text = decoder.decode(new Uint8Array(memory.buffer, output(), length));
    const { error } = JSON.parse(text);
    if (error !== undefined) throw new Error(error);
    return text;
  };
}
