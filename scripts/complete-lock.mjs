// Adds to the lock the optional packages of other platforms that npm left out because the registry it asked
// did not carry them: without an entry `npm ci` fails with "Missing … from lock file" on every platform.
// Runs after each `npm install` (postinstall) and changes nothing when the lock is complete.
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const text = readFileSync(file, "utf8");
const lock = JSON.parse(text);
const { packages } = lock;

const OS = [
  "aix",
  "android",
  "darwin",
  "freebsd",
  "linux",
  "netbsd",
  "openbsd",
  "openharmony",
  "sunos",
  "win32",
];
const CPU = ["arm", "arm64", "ia32", "loong64", "ppc64", "riscv64", "s390x", "wasm32", "x64"];
const LIBC = { gnu: "glibc", musl: "musl" };

/** Node's resolution: `name` in the node_modules of `from`, or of a folder above. */
function isLocked(from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    if (packages[`${at ? `${at}/` : ""}node_modules/${name}`]) return true;
    if (at === "") return false;
  }
}

for (const [from, { optionalDependencies = {} }] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (isLocked(from, name)) continue;
    // Such packages are pinned by their parent and carry the platform in the name: edr-linux-arm64-gnu.
    const words = name.split(/[-/]/);
    const os = OS.filter((word) => words.includes(word));
    const cpu = CPU.filter((word) => words.includes(word));
    const libc = words.filter((word) => word in LIBC).map((word) => LIBC[word]);
    const isNamed = cpu.length > 0 && (os.length > 0 || cpu.includes("wasm32")); // which runs on any system
    if (!/^\d+\.\d+\.\d+/.test(version) || !isNamed) {
      throw new Error(
        `cannot complete the lock: ${name}@${version} (of ${from}) names no version or platform`,
      );
    }
    packages[`node_modules/${name}`] = {
      version,
      cpu,
      dev: packages[from].dev,
      ...(libc.length > 0 && { libc }),
      optional: true,
      ...(os.length > 0 && { os }),
    };
  }
}

lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, "en")));
const complete = `${JSON.stringify(lock, null, 2)}\n`;
if (complete !== text) writeFileSync(file, complete);
