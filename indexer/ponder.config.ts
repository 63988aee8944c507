import { createConfig } from "ponder";

import {
  AccessManagerAbi,
  AccountRecoveryAbi,
  EmergencyBrakeAbi,
  InsuranceFundAbi,
  MarketPairAbi,
  ProtectionOrdersAbi,
  SafeAbi,
  UpgraderAbi,
  VaultAbi,
} from "../sdk/src/abi/index.ts";
import { scene } from "./scene.ts";

const { chainId: id, rpc, startBlock, pollMs, sampleBlocks, contracts, database } = scene;
const from = { chain: "main", startBlock } as const;

export default createConfig({
  database:
    "url" in database
      ? { kind: "postgres", connectionString: database.url }
      : { kind: "pglite", directory: database.directory },
  // A node of this machine may be reset or go back; what it said before is not kept.
  chains: { main: { id, rpc, pollingInterval: pollMs, disableCache: id === 31337 } },
  contracts: {
    Vault: { ...from, abi: VaultAbi, address: scene.markets.map(({ vault }) => vault) },
    InsuranceFund: { ...from, abi: InsuranceFundAbi, address: contracts.insurance },
    EmergencyBrake: { ...from, abi: EmergencyBrakeAbi, address: contracts.brake },
    ProtectionOrders: { ...from, abi: ProtectionOrdersAbi, address: contracts.orders },
    AccountRecovery: { ...from, abi: AccountRecoveryAbi, address: contracts.recovery },
    AccessManager: { ...from, abi: AccessManagerAbi, address: contracts.manager },
    Upgrader: { ...from, abi: UpgraderAbi, address: contracts.upgrader },
    MarketPair: { ...from, abi: MarketPairAbi, address: scene.pairs },
    Safe: { ...from, abi: SafeAbi, address: [scene.safes.pauser, scene.safes.governor] },
  },
  blocks: { Sample: { ...from, interval: sampleBlocks } },
});
