// What this project adds to every Hardhat build; plugged in by hardhat.config.ts.
import { availableParallelism } from "node:os";

import type { SolidityHooks } from "hardhat/types/hooks";

import { generateSdk } from "./generate.ts";

export default async (): Promise<Partial<SolidityHooks>> => ({
  // Hardhat would leave one core alone: of two, that is half the speed.
  async build(context, rootFilePaths, options, next) {
    return next(context, rootFilePaths, { ...options, concurrency: availableParallelism() });
  },

  // Warnings about code of others drown those about ours.
  async getCompilationJobErrors(context, job, output, next) {
    const errors = await next(context, job, output);
    return errors.filter(
      ({ severity, formattedMessage = "" }) =>
        severity === "error" || !/--> .*node_modules\//.test(formattedMessage),
    );
  },

  async processArtifactsAfterSuccessfulBuild(context) {
    await generateSdk(context.config.paths.artifacts);
  },
});
