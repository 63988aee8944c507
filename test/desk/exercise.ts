import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "chai";

import { run } from "../../scripts/desk/commands.ts";
import type { ExerciseReport } from "../../sdk/src/desk.ts";

(process.env.COMMANDS ? describe : describe.skip)("desk exercise", function () {
  this.timeout(120_000);

  it("goes from the alert to a pause, through grace, to normal, and writes what each step took", async () => {
    const file = join(tmpdir(), `breakwater-exercise-${process.pid}.json`);
    let out = "";
    const output = { out: (text: string) => (out += `${text}\n`), err: (text: string) => (out += text) };
    expect(await run(["exercise", "--report", file], output), out).to.equal(0);
    const report = JSON.parse(await readFile(file, "utf8")) as ExerciseReport;
    expect(report.steps.map(({ step }) => step)).to.deep.equal([
      "alert",
      "proposal",
      "signature 1",
      "signature 2",
      "paused",
      "lapse into grace",
      "normal",
    ]);
    expect(report.steps.every(({ milliseconds }) => milliseconds > 0)).to.equal(true);
    expect([report.pausedSeconds, report.graceSeconds]).to.deep.equal([1_800, 1_800]);
    expect(report.otherMarketsUntouched).to.equal(true);
    expect(out).to.match(/From alert to paused: [\d.]+ s, signed by the exercise itself/);
  });
});
