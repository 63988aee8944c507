// npm run risk: see docs/risk.md and docs/calibration.md.
import { Command } from "commander";

import { addCalibrate } from "./risk/calibration.ts";

const program = new Command("npm run risk --").description(
  "What a market may lose, and parameters that bound it.",
);
addCalibrate(program);
try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
