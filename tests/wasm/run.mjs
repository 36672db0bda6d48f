// Loads the module named on the command line, without any import, and prints its report.
import { readFileSync } from "node:fs";

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const imports = WebAssembly.Module.imports(module);
if (imports.length > 0) {
  throw new Error(`the module imports ${imports.map((i) => `${i.module}.${i.name}`).join(", ")}`);
}
const { memory, report_at, report_len } = new WebAssembly.Instance(module).exports;
const [at, length] = [report_at(), report_len()];
process.stdout.write(new TextDecoder().decode(new Uint8Array(memory.buffer, at, length)));
