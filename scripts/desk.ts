// npm run desk: the signers' desk. See docs/desk.md.
import { run } from "./desk/commands.ts";

process.exitCode = await run(process.argv.slice(2), {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
});
