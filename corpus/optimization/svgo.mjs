// Optimize one SVG a line with SVGO: JSON strings in, JSON objects out. Arguments: SVGO's folder, a svgo.config.mjs.
import path from "node:path";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

console.log = console.error; // what plugins print is no answer
const [folder, configFile] = process.argv.slice(2);
const { optimize, loadConfig } = await import(pathToFileURL(path.join(folder, "lib", "svgo-node.js")));
const config = await loadConfig(path.resolve(configFile));
for await (const line of readline.createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { svg: optimize(JSON.parse(line), config).data };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
