// What signs and sends: a key, a keystore, or a node's account; a person at a terminal is asked.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

import { type Owner, parseAddress, Refusal } from "@breakwater/sdk/desk";
import { type JsonRpcProvider, JsonRpcSigner, type Signer, Wallet } from "ethers";

export interface KeyOptions {
  account?: string;
  keystore?: string;
  keyEnv: string;
}

/** One of: an account of the node, an encrypted JSON keystore, a key in the environment. */
export async function openSigner(
  { account, keystore, keyEnv }: KeyOptions,
  provider: JsonRpcProvider,
): Promise<Signer> {
  const key = process.env[keyEnv];
  if (account !== undefined && keystore !== undefined) throw new Refusal("--account or --keystore, not both");
  if (account !== undefined) return new JsonRpcSigner(provider, parseAddress(account));
  if (keystore !== undefined) {
    const json = await readFile(keystore, "utf8").catch(() => {
      throw new Refusal(`--keystore: ${keystore} cannot be read`);
    });
    const password = process.env.KEYSTORE_PASSWORD ?? (await askHidden(`password of ${keystore}: `));
    try {
      return (await Wallet.fromEncryptedJson(json, password)).connect(provider);
    } catch {
      throw new Refusal(`--keystore: ${keystore} does not open with this password`);
    }
  }
  if (key === undefined || key === "")
    throw new Refusal(`no key: --account, --keystore, or a key in $${keyEnv}`);
  try {
    return new Wallet(key, provider);
  } catch {
    // Never the value.
    throw new Refusal(`$${keyEnv} is no private key`);
  }
}

/** As the desk asks for signatures. */
export async function ownerOf(signer: Signer): Promise<Owner> {
  return {
    address: await signer.getAddress(),
    sign: async ({ domain, types, message }) => signer.signTypedData(domain, types, message),
  };
}

async function askHidden(question: string): Promise<string> {
  if (!process.stdin.isTTY) throw new Refusal("no password: set $KEYSTORE_PASSWORD, or use a terminal");
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await lines.question("");
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}

/** A person at a terminal is asked; a script has decided. */
export async function confirmed(yes: boolean): Promise<void> {
  if (yes || !process.stdin.isTTY) return;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question("Sign this? (yes) ");
  lines.close();
  if (answer.trim() !== "yes") throw new Refusal("not signed");
}
