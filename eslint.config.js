import { existsSync } from "node:fs";

import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  globalIgnores([
    "artifacts",
    "cache",
    "coverage",
    "types",
    "sdk/src/abi",
    "sdk/src/types",
    "**/dist",
    "**/out",
    // Its types are installed with it, on demand.
    ...(existsSync(new URL("indexer/node_modules", import.meta.url)) ? ["indexer/generated"] : ["indexer"]),
  ]),
  js.configs.recommended,
  {
    files: ["**/*.ts", "**/*.tsx"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: "error",
      // Interfaces ask for async functions that happen not to wait.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/consistent-type-imports": "error",
      // Amounts are bigint and belong in messages; objects do not.
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // noUncheckedIndexedAccess marks every element; where the index is known good, `!` says so.
      "@typescript-eslint/no-non-null-assertion": "off",
      // Wei do not fit a double: a figure leaves bigint only where it is printed or drawn.
      "no-restricted-globals": ["error", { name: "parseFloat", message: "Parse amounts to bigint." }],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      // chai: expect(x).to.be.true
      "@typescript-eslint/no-unused-expressions": "off",
    },
  },
  {
    files: ["**/*.js", "**/*.mjs"],
    languageOptions: { globals: { console: "readonly", process: "readonly", URL: "readonly" } },
  },
);
