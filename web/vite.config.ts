import tailwind from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { type Plugin, defineConfig } from "vite";

/** The page deploys nothing: the code of the contracts, which TypeChain's factories carry, is half of all bytes. */
const withoutBytecode: Plugin = {
  name: "without-bytecode",
  transform: {
    filter: { id: /\/sdk\/src\/types\/factories\// },
    handler: (code) => code.replace(/const _bytecode =\s*"0x[^"]*";/, 'const _bytecode = "0x";'),
  },
};

export default defineConfig({
  root: import.meta.dirname,
  plugins: [withoutBytecode, react(), tailwind()],
  // No data: URLs and no polyfill in the page: its Content-Security-Policy has room for neither.
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2023" },
});
