// The files that travel between signers: a proposal, its twin for Safe's Transaction Builder, and one file a signature.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import {
  builderNameOf,
  builderOf,
  type OwnerSignature,
  parseProposal,
  parseSignature,
  type Proposal,
  Refusal,
  signatureNameOf,
  toJson,
} from "@breakwater/sdk/desk";

export async function writeProposal(file: string, proposal: Proposal): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${toJson(proposal)}\n`);
  const builder = builderNameOf(file);
  await writeFile(builder, `${toJson(builderOf(proposal))}\n`);
  return builder;
}

export const readProposal = async (file: string): Promise<Proposal> => read(file, parseProposal);
export const readSignature = async (file: string): Promise<OwnerSignature> => read(file, parseSignature);

async function read<T>(file: string, parse: (json: unknown) => T): Promise<T> {
  try {
    return parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    throw new Refusal(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export async function writeSignature(proposal: string, signature: OwnerSignature): Promise<string> {
  const file = signatureNameOf(proposal, signature.signer);
  await writeFile(file, `${toJson(signature)}\n`);
  return file;
}

/** The signatures beside a proposal; what was signed under an earlier proposal of the same name does not count. */
export async function signaturesBeside(file: string, { hashes }: Proposal): Promise<OwnerSignature[]> {
  const start = basename(file).replace(/(\.json)?$/, ".0x");
  const names = (await readdir(dirname(file))).filter(
    (name) => name.startsWith(start) && name.endsWith(".sig.json"),
  );
  const signatures = await Promise.all(names.map(async (name) => readSignature(join(dirname(file), name))));
  return signatures.filter(({ safeTransactionHash }) => safeTransactionHash === hashes.safeTransaction);
}
