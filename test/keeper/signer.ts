import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "chai";
import { Transaction, type TransactionLike, Wallet, encryptKeystoreJson } from "ethers";

import { InvalidConfig } from "../../keeper/src/config.ts";
import { openAccount } from "../../keeper/src/signer.ts";

const KEY = `0x${"ab".repeat(32)}`;
const CHAIN = 31337;
const PASSWORD = "correct horse";
const TRANSACTION: TransactionLike = {
  ...{ type: 2, chainId: CHAIN, nonce: 7, to: `0x${"12".repeat(20)}`, value: 0n, data: "0x1234" },
  ...{ gasLimit: 50_000n, maxFeePerGas: 2_000_000_000n, maxPriorityFeePerGas: 1n },
};

describe("keeper signer", () => {
  const wallet = new Wallet(KEY);
  let directory: string;
  let file: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "breakwater-"));
    file = join(directory, "keystore.json");
    // A cheap one: how dear it is to open stands in the file.
    await writeFile(file, await encryptKeystoreJson(wallet, PASSWORD, { scrypt: { N: 2, r: 8, p: 1 } }));
    await writeFile(join(directory, "password"), `${PASSWORD}\nanother line`);
  });
  after(async () => rm(directory, { recursive: true }));

  const keystore = (password?: string, passwordFile?: string, path = file) =>
    openAccount({ kind: "keystore", file: path, password, passwordFile }, CHAIN);

  it("is a key, or an encrypted keystore with its password or a file of it", async () => {
    for (const account of [
      await openAccount({ kind: "key", key: KEY }, CHAIN),
      await keystore(PASSWORD),
      await keystore(undefined, join(directory, "password")),
    ]) {
      expect(account!.address).to.equal(wallet.address);
      const signed = Transaction.from(await account!.sign!(TRANSACTION));
      expect([signed.from, signed.nonce, signed.data]).to.deep.equal([wallet.address, 7, "0x1234"]);
    }
  });

  const refusal = async (opening: Promise<unknown>): Promise<string> => {
    const error = await opening.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(InvalidConfig);
    return (error as Error).message;
  };

  it("that cannot be had is refused by its key, without the password", async () => {
    expect(await refusal(keystore("wrong horse")))
      .to.match(/^KEYSTORE: .*password/)
      .and.not.contain("horse");
    expect(await refusal(keystore(undefined, join(directory, "none")))).to.match(
      /^KEYSTORE_PASSWORD_FILE: ENOENT/,
    );
    expect(await refusal(keystore(PASSWORD, undefined, join(directory, "password")))).to.match(/^KEYSTORE: /);
  });

  it("is an account of the node, which signs what it sends", async () => {
    const account = await openAccount({ kind: "account", address: wallet.address, url: undefined }, CHAIN);
    expect(account).to.deep.equal({ address: wallet.address });
    expect(await openAccount({ kind: "none" }, CHAIN)).to.equal(undefined);
  });

  it("is a JSON-RPC signer apart from the node, asked for a signature and nothing else", async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      void (async () => {
        const [chunk] = await Array.fromAsync(request as AsyncIterable<Buffer>);
        const body = JSON.parse(String(chunk)) as Call | Call[];
        const answers = (Array.isArray(body) ? body : [body]).map(async ({ id, method, params }) => {
          asked.push(method);
          if (method === "eth_chainId") return { id, jsonrpc: "2.0", result: "0x7a69" };
          if (method === "eth_accounts") return { id, jsonrpc: "2.0", result: [wallet.address] };
          const { from, gas, ...rest } = params[0]!;
          expect(from).to.equal(wallet.address.toLowerCase());
          const result = await wallet.signTransaction({ ...rest, gasLimit: gas });
          return { id, jsonrpc: "2.0", result };
        });
        const all = await Promise.all(answers);
        response.end(JSON.stringify(Array.isArray(body) ? all : all[0]));
      })();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const account = await openAccount({ kind: "account", address: wallet.address, url }, CHAIN);
      const signed = Transaction.from(await account!.sign!(TRANSACTION));
      expect([signed.from, signed.nonce, signed.gasLimit]).to.deep.equal([wallet.address, 7, 50_000n]);
      expect(new Set(asked)).to.deep.equal(new Set(["eth_signTransaction"]));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

interface Call {
  id: number;
  method: string;
  params: (TransactionLike & { gas: string })[];
}
