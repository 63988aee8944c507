import { readFile } from "node:fs/promises";

import { explainRevert } from "@breakwater/sdk/chain";
import { JsonRpcProvider, JsonRpcSigner, type Signer, Wallet } from "ethers";

import { InvalidConfig, type SignerSource } from "./config.ts";

/** Who signs; undefined: nobody, and nothing is sent. */
export async function openSigner(
  source: SignerSource,
  provider: JsonRpcProvider,
): Promise<Signer | undefined> {
  switch (source.kind) {
    case "none":
      return undefined;
    case "key":
      return new Wallet(source.key, provider);
    case "account":
      return new JsonRpcSigner(source.url ? new JsonRpcProvider(source.url) : provider, source.address);
    case "keystore":
      return (await decrypt(source)).connect(provider);
  }
}

async function decrypt(source: Extract<SignerSource, { kind: "keystore" }>) {
  const json = await read("KEYSTORE", source.file);
  const password =
    source.password ?? (await read("KEYSTORE_PASSWORD_FILE", source.passwordFile!)).split(/\r?\n/)[0]!;
  try {
    return await Wallet.fromEncryptedJson(json, password);
  } catch (error) {
    throw new InvalidConfig(`KEYSTORE: cannot be opened: ${explainRevert(error).words}`);
  }
}

async function read(key: string, file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new InvalidConfig(`${key}: ${(error as Error).message}`);
  }
}
