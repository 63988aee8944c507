import { readFile } from "node:fs/promises";

import { explainRevert } from "@breakwater/sdk/chain";
import { type BaseWallet, FetchRequest, JsonRpcProvider, JsonRpcSigner, Network, Wallet } from "ethers";

import type { Account } from "./chain/outbox.ts";
import { InvalidConfig, type SignerSource } from "./config.ts";

const TIMEOUT_MS = 5_000;

/** Who signs; undefined: nobody, and nothing is sent. */
export async function openAccount(source: SignerSource, chainId: number): Promise<Account | undefined> {
  switch (source.kind) {
    case "none":
      return undefined;
    case "key":
      return withKey(new Wallet(source.key));
    case "keystore":
      return withKey(await decrypt(source));
    case "account": {
      const { address, url } = source;
      if (url === undefined) return { address }; // the node signs
      const request = new FetchRequest(url);
      request.timeout = TIMEOUT_MS;
      const network = Network.from(chainId); // a signer knows no chain
      const remote = new JsonRpcProvider(request, network, { staticNetwork: true, batchMaxCount: 1 });
      const signer = new JsonRpcSigner(remote, address);
      return { address, sign: async (transaction) => signer.signTransaction(transaction) };
    }
  }
}

function withKey(wallet: BaseWallet): Account {
  return { address: wallet.address, sign: async (transaction) => wallet.signTransaction(transaction) };
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
