// What the audit's documents claim about the code, compared with the code.
import { expect } from "chai";
import { globSync, readFileSync } from "node:fs";
import { artifacts } from "hardhat";

import { scopeTable } from "../../scripts/scope.ts";

const read = (file: string): string => readFileSync(file, "utf8");

/** Every invariant id in a text: I1, also within test_I1_…; B brake, F funding, J the register, K orders that keepers execute, L leverage, P previews, … */
const invariantIds = (text: string): string[] =>
  [...text.matchAll(/(?<![A-Za-z0-9])[BFIJKLOPRUW]\d+(?![A-Za-z0-9])/g)].map(([id]) => id);

const byNumber = (a: string, b: string): number =>
  a.charCodeAt(0) - b.charCodeAt(0) || Number(a.slice(1)) - Number(b.slice(1));

describe("The documents for an audit", () => {
  it("give the scope's true line counts", () => {
    expect(read("docs/audit/scope.md")).to.include(scopeTable(), "npm run report:scope -- --write");
  });

  it("name for every invariant a test, and have every invariant that a test names", () => {
    const documented = new Set(invariantIds(read("docs/invariants.md").replace(/^[^|].*$/gm, "")));
    const tested = new Set(
      globSync("test/**/*.{ts,sol}")
        .filter((file) => !file.startsWith("test/docs/"))
        .flatMap((file) => invariantIds(read(file))),
    );
    expect([...tested].sort(byNumber)).to.deep.equal([...documented].sort(byNumber));
  });

  it("name only tests that exist", () => {
    const tests = globSync("test/**/*.{ts,sol}").map(read).join("\n");
    for (const page of ["docs/invariants.md", ...globSync("docs/audit/*.md")]) {
      for (const [, name, cutOff] of read(page).matchAll(/`((?:test|invariant)(?:Fuzz)?_\w+)(…?)`/g)) {
        expect(tests).to.match(new RegExp(`function ${name}${cutOff ? "" : "\\("}`), `${page}: ${name}`);
      }
    }
  });

  it("list every entry point, and none that is not there", async () => {
    const actual: string[] = [];
    const names = await artifacts.getAllFullyQualifiedNames();
    for (const name of names) {
      if (!/^contracts\/(periphery\/)?[A-Z]/.test(name)) continue;
      const { abi, contractName } = await artifacts.readArtifact(name);
      for (const item of abi as { type: string; name: string; stateMutability: string }[]) {
        if (item.type !== "function" || /view|pure/.test(item.stateMutability)) continue;
        actual.push(`${contractName}.${item.name}`);
      }
    }
    const table = read("docs/audit/entry-points.md");
    const listed = [...table.matchAll(/^\| (\w+) \| `(\w+)` \|/gm)].map(
      ([, contract, name]) => `${contract}.${name}`,
    );
    expect(listed.toSorted()).to.deep.equal(actual.toSorted());
  });

  it("name the versions that are installed", () => {
    const { devDependencies } = JSON.parse(read("package.json")) as {
      devDependencies: Record<string, string>;
    };
    const versions = [...read("docs/audit/README.md").matchAll(/^\| `([^`]+)` \| ([\d.]+) \|/gm)];
    expect(versions.length).to.be.greaterThan(5);
    for (const [, name, version] of versions) expect(devDependencies[name!], name).to.equal(version);
  });
});
