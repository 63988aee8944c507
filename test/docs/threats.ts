// Every test that docs/threat-model.md names is there.
import { expect } from "chai";
import { existsSync, readFileSync } from "node:fs";

const LIQUIDATIONS = "test/threats/liquidations.ts";

describe("The threat model", () => {
  // The rows of every table of attacks.
  const rows = readFileSync("docs/threat-model.md", "utf8")
    .split(/^\| attack \|.*\n.*\n/m)
    .slice(1)
    .flatMap((table) => table.split("\n\n", 1)[0]!.trim().split("\n"));

  it("has tables of attacks", () => {
    expect(rows.length).to.be.greaterThan(50);
  });

  for (const row of rows) {
    const [, attack, , tests] = row.split("|").map((cell) => cell.trim());
    it(attack!, () => {
      const files = [...tests!.matchAll(/`(test\/[\w/.-]+)`/g)].map(([, file]) => file!);
      expect(tests).to.match(/`test\/|"/, "it names no test");
      for (const file of files) expect(existsSync(file), file).to.equal(true);
      // The section on liquidations names its file once, above its table.
      const code = (files.length > 0 ? files : [LIQUIDATIONS])
        .map((file) => readFileSync(file, "utf8"))
        .join("\n");
      for (const [, title] of tests!.matchAll(/"([^"]+)"/g)) {
        // A title that is cut ends in …
        const start = title!.replace(/ ?…$/, "");
        expect(
          code.includes(`it("${start}`) || code.includes(`function ${start}(`),
          `${files.join(", ")}: "${title}"`,
        ).to.equal(true);
      }
    });
  }
});
